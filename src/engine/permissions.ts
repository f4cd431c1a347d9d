/**
 * Permissions of the engine while it serves: none, and of the kernel only what computing needs. It gets permissions to
 * load (`command.ts`); serving needs none, because the library is open and its memory mapped. Deno's permissions bind
 * JavaScript; native code is confined by the kernel.
 */
import { Confiner, type Unconfined } from "../confinement/confinement.ts";
import { LIBC } from "./native/libc/c_library.ts";

/** From the start: this process does not outlive the daemon, and nobody opens a debugger in it. */
export function confineEarly(): void {
  const confiner = new Confiner(LIBC);
  confiner.dieWithParent();
  confiner.refuseDebugger();
}

/**
 * Give back every permission, for good, those of native code too.
 *
 * @returns Why native code is not bound.
 */
export function confine(accelerator: string): Unconfined {
  const reason = new Confiner(LIBC).leaveComputing(accelerator === "cpu" ? "cpu" : "accelerator");
  for (const name of ["read", "write", "net", "run", "ffi", "env", "sys", "import"] as const) {
    Deno.permissions.revokeSync({ name });
  }
  return reason;
}
