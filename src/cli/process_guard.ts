/** What our processes take away from themselves and from whoever started them, by libc, before they serve. */
import { Confiner } from "../confinement/confinement.ts";
import { LIBC_PATHS } from "../server/kernel.ts";

/**
 * Take away V8's debugger, with which any process of this user could have the program run whatever it is told. Without
 * the permission for libc that cannot be done.
 */
export function refuseDebugger(): void {
  withLibc((confiner) => confiner.refuseDebugger());
}

/** End when the process that started this one is killed. Where the kernel cannot do that, the end of a pipe tells. */
export function dieWithParent(): void {
  withLibc((confiner) => confiner.dieWithParent());
}

function withLibc(act: (confiner: Confiner) => void): void {
  for (const path of LIBC_PATHS) {
    // Asked first, because opening without the permission would prompt on a terminal.
    if (Deno.permissions.querySync({ name: "ffi", path }).state !== "granted") continue;
    try {
      act(new Confiner(path));
      return;
    } catch (error) {
      // Not where this system has it: `Deno.dlopen` throws plain errors.
      if (error instanceof TypeError || error instanceof Deno.errors.NotCapable) throw error;
    }
  }
}
