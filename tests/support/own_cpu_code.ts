/** Whether there is CPU code of inferd's own for this machine: every build needs AVX2. */
export const HAS_OWN_CPU_CODE = Deno.build.target === "x86_64-unknown-linux-gnu" &&
  /\bavx2\b/.test(Deno.readTextFileSync("/proc/cpuinfo"));
