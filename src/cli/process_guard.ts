/** Hardening of processes through libc, before they serve: refusing debuggers, and dying with the parent. */
import { Confiner } from "../confinement/confinement.ts";
import { permittedLibcPaths } from "../server/kernel.ts";

/**
 * Disable V8's debugger, through which any process of this user could run code in this one. Has no effect without
 * permission for libc.
 */
export function refuseDebugger(): void {
  withLibc((confiner) => confiner.refuseDebugger());
}

/** Receive signals, and learn how child processes end, also if whoever started this process blocked or ignored that. */
export function resetSignals(): void {
  withLibc((confiner) => confiner.resetSignals());
}

/** Ignore SIGHUP until a listener is added, here and in processes started from now on. */
export function ignoreHangUp(): void {
  withLibc((confiner) => confiner.ignoreHangUp());
}

/** Die when the parent process is killed. Where the kernel does not support it, EOF on a pipe serves instead. */
export function dieWithParent(): void {
  withLibc((confiner) => confiner.dieWithParent());
}

function withLibc(act: (confiner: Confiner) => void): void {
  for (const path of permittedLibcPaths()) {
    try {
      act(new Confiner(path));
      return;
    } catch (error) {
      // libc is elsewhere on this system: `Deno.dlopen` throws plain errors.
      if (error instanceof TypeError || error instanceof Deno.errors.NotCapable) throw error;
    }
  }
}
