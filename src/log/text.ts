/** Log records as lines for people. */
import { bold, dim, red, yellow } from "@std/fmt/colors";
import { spellControls } from "./controls.ts";

/** A record, redacted. */
export interface TextRecord {
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Format a record as one line, without its fields that are null. */
export function toText({ time, level, msg, fields }: TextRecord, colours: boolean): string {
  const paint = (style: (text: string) => string, text: string): string => colours ? style(text) : text;
  const levelStyle = level === "error" ? red : level === "warn" ? yellow : dim;
  const values = Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  return [paint(dim, time), paint(levelStyle, toLine(level).padEnd(5)), paint(bold, toLine(msg)), toLine(values)]
    .join(" ").trimEnd();
}

/** Escapes text to a single line without terminal control sequences. */
export function toLine(text: string): string {
  return spellControls(text).replaceAll("\n", "\\n").replaceAll("\t", "\\u0009");
}
