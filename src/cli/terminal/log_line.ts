/** Formats lines of the log file for people. */
import { toLine, toText } from "../../log/text.ts";

/** Time, level, component, event and fields in one line, escaped; what is no record as it is. */
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
