/**
 * The machine has temporarily run out of descriptors, processes or memory. Whoever needed some did nothing wrong and may
 * try again.
 */

/** What the system says then. */
const CODES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"]);

/** Whether something failed, or what caused it did, because the machine was out of something. */
export function isShortage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && CODES.has(at.code)) return true;
  }
  return false;
}
