/**
 * What the engine process may still do while it serves: nothing but compute. It is given permissions to load
 * (`command.ts`), and what is loaded needs none: the library is open, and its memory in view. The permissions are Deno's
 * and bind JavaScript; what native code may do is the kernel's to bind.
 */
import { Confiner, type Unconfined } from "../confinement/confinement.ts";
import { LIBC } from "./native/library.ts";

/** From the start: this process does not outlive the daemon, and nobody opens a debugger in it. */
export function confineEarly(): void {
  const confiner = new Confiner(LIBC);
  confiner.dieWithParent();
  confiner.refuseDebugger();
}

/**
 * Give back every permission, for good, those of native code too.
 *
 * @param accelerator What computes.
 * @returns Why native code is not bound.
 */
export function confine(accelerator: string): Unconfined {
  const reason = new Confiner(LIBC).leaveComputing(accelerator === "cpu" ? "cpu" : "accelerator");
  for (const name of ["read", "write", "net", "run", "ffi", "env", "sys", "import"] as const) {
    Deno.permissions.revokeSync({ name });
  }
  return reason;
}
