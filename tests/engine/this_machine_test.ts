import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { engineCommand } from "../../src/engine/ipc/command.ts";

/** What the engine sees of a machine, with the engine's permissions. */
async function ask(expression: string, variables: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const { command, args, env } = engineCommand();
  const dir = await Deno.makeTempDir({ prefix: "inferd-machine-" });
  try {
    const source = (file: string): string => new URL(`../../src/engine/${file}`, import.meta.url).href;
    await Deno.writeTextFile(
      `${dir}/ask.ts`,
      `import { thisMachine } from "${source("native/this_machine.ts")}";
       import { engineEnvironment } from "${source("ipc/command.ts")}";
       import { kernelFiles } from "${source("native/libc/kernel_files.ts")}";
       import { physicalCores } from "${source("native/threads/cores.ts")}";
       const machine = thisMachine(engineEnvironment);
       const text = (path: string): string => new TextDecoder().decode(machine.read(path));
       console.log(JSON.stringify(${expression}));`,
    );
    const { stdout } = await new Deno.Command(command, {
      args: [...args.slice(0, -1), `${dir}/ask.ts`],
      env: { ...env, ...variables },
      stderr: "inherit",
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test({
  name: "thisMachine sees devices and the kernel's files when Deno itself would not show them",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const paths = ["/dev/null", "/dev/no-such-device", "/proc/version", "/proc/no-such-file", "/sys/kernel"];
    assertEquals(await ask(`${JSON.stringify(paths)}.map(machine.exists)`), [true, false, true, false, true]);
    assertStringIncludes(String(await ask('text("/proc/version")')), "Linux version ");
    assertEquals(await ask('[machine.read("/proc/no-such-file") ?? null, machine.read("/sys/kernel") ?? null]'), [
      null,
      null,
    ]);
  },
});

Deno.test({
  name: "the engine sees how many cores the machine has and which are free, also without permissions",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    assertGreater(Number(await ask("physicalCores(kernelFiles().text)")), 0);
    const later = `(() => {
      const stat = kernelFiles().open("/proc/stat");
      for (const name of ["read", "ffi", "sys", "env"]) Deno.permissions.revokeSync({ name });
      return new TextDecoder().decode(stat()).slice(0, 4);
    })()`;
    assertEquals(await ask(later), "cpu ");
    assertStringIncludes(String(await ask('kernelFiles().text("/proc/self/cgroup")')), ":/");
  },
});

Deno.test("thisMachine sees files and folders, and of the variables only those that say where libraries are", async () => {
  const folder = new URL("../../models/", import.meta.url).pathname;
  assertEquals(await ask(`machine.list("${folder}").includes("inferd-tiny.gguf")`), true);
  assertEquals(await ask('[machine.list("/no/such/folder"), machine.exists("/no/such/file")]'), [[], false]);
  const variables = { CUDA_PATH: "/opt/cuda", INFERD_API_KEY: "secret" };
  assertEquals(await ask('[machine.env("CUDA_PATH"), machine.env("INFERD_API_KEY") ?? null]', variables), [
    "/opt/cuda",
    null,
  ]);
});

Deno.test({
  name: "thisMachine knows nothing of a driver whose library is missing or is another one",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    assertEquals(
      await ask('["/no/such/libcuda.so.1", "libc.so.6"].map((path) => machine.cudaDriver?.(path) ?? null)'),
      [
        null,
        null,
      ],
    );
  },
});
