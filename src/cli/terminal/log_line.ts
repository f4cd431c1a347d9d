/** Formats lines of the log file for people. */
import { toLine, toText } from "../../log/text.ts";

/**
 * Format a line of the log file: time, level, component, event, fields.
 *
 * @param line The line.
 * @returns One line, escaped; what is no record as it is.
 */
export function readable(line: string): string {
  try {
    const { t, level, component, msg, ...fields }: Record<string, unknown> = JSON.parse(line);
    const record = { time: localTime(String(t)), level: String(level), msg: `${component} ${msg}`, fields };
    return toText(record, !Deno.noColor && Deno.stdout.isTerminal());
  } catch {
    return toLine(line);
  }
}

/** `2026-01-31 18:05:09` on this machine's clock. */
function localTime(time: string): string {
  const date = new Date(time);
  const two = (number: number): string => String(number).padStart(2, "0");
  return Number.isNaN(date.getTime())
    ? time
    : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${date.toTimeString().slice(0, 8)}`;
}
