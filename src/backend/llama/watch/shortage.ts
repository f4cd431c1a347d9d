/** Detects temporary exhaustion of descriptors, processes or memory: not the caller's fault, and worth a retry. */

/** Error codes of exhaustion. */
const CODES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"]);

/** Whether an error, or its cause, is due to resource exhaustion. */
export function isShortage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && CODES.has(at.code)) return true;
  }
  return false;
}
