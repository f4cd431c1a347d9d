/** Detects what keeps an engine from being started and is worth a retry: the machine's fault, not the engine's. */
import { NoMeetingError } from "../../../processes/process.ts";

/** Error codes of exhausted descriptors, processes or memory. */
const CODES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"]);

/** Whether an error, or its cause, is due to resource exhaustion, or to a folder in which there is no room for a socket. */
export function isShortage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof NoMeetingError || ("code" in at && CODES.has(at.code))) return true;
  }
  return false;
}
