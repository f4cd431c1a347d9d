/** For commands that serve: nobody debugs them. */
import { Confiner } from "../confinement/confinement.ts";
import { LIBC_PATHS } from "../server/kernel.ts";

/**
 * Take away V8's debugger, with which any process of this user could have a process that serves run whatever it is told. Without the
 * permission for libc that cannot be done.
 */
export function refuseDebugger(): void {
  for (const path of LIBC_PATHS) {
    // Asked first, because opening without the permission would prompt on a terminal.
    if (Deno.permissions.querySync({ name: "ffi", path }).state !== "granted") continue;
    try {
      new Confiner(path).refuseDebugger();
      return;
    } catch (error) {
      // Not where this system has it: `Deno.dlopen` throws plain errors.
      if (error instanceof TypeError || error instanceof Deno.errors.NotCapable) throw error;
    }
  }
}
