/**
 * The only path to stdout and stderr. Names, paths, answers and errors are untrusted, and control characters can set a
 * terminal's clipboard, move the cursor or inject input. So they are escaped on a terminal; files and pipes get text
 * unchanged.
 */

import { dim, stripAnsiCode } from "@std/fmt/colors";
import { spellControls } from "../../log/controls.ts";

const encoder = new TextEncoder();
const USUAL_COLUMNS = 80;

/** This program's own colour sequences. */
// deno-lint-ignore no-control-regex
const COLOURED = /(\x1b\[(?:[0-2]|22|3[0-79])m)/;

/** Escapes control characters, except this program's own colours. */
function spellAllButColours(text: string): string {
  return text.split(COLOURED).map((part, i) => i % 2 === 1 ? part : spellControls(part)).join("");
}

export function print(line: string): void {
  console.log(Deno.stdout.isTerminal() ? spellAllButColours(line) : line);
}

export function complain(line: string): void {
  writeToStderr(`${Deno.stderr.isTerminal() ? spellAllButColours(line) : line}\n`);
}

/**
 * Write to stderr. Failures are ignored, because there is no other place to report them: a daemon survives a full disk,
 * and drains when its terminal is closed.
 *
 * @param text Text that is safe for a terminal.
 */
export function writeToStderr(text: string): void {
  try {
    for (let rest = encoder.encode(text); rest.length > 0;) rest = rest.subarray(Deno.stderr.writeSync(rest));
  } catch {
    // Closed or full.
  }
}

/** Ask the operator something on stderr: text without a line break after it. */
export function ask(question: string): void {
  writeToStderr(Deno.stderr.isTerminal() ? spellAllButColours(question) : question);
}

/** Print a dimmed line to stderr. */
export function remark(line: string): void {
  complain(Deno.stderr.isTerminal() ? dim(line) : line);
}

/** Whether the terminal supports escape sequences; see `setTerminalType`. */
let obeys = true;

/** @param type The value of `TERM`; undefined if unknown. */
export function setTerminalType(type: string | undefined): void {
  obeys = type !== "dumb";
}

/** Whether a stream is a terminal that supports escape sequences. */
export function isScreen(stream: Pick<Sink, "isTerminal">): boolean {
  return obeys && stream.isTerminal();
}

export interface Sink {
  isTerminal(): boolean;
  write(bytes: Uint8Array): Promise<number>;
}

/** Write text completely; `raw`: unescaped, also on a terminal. */
export async function writeText(to: Sink, text: string, raw = false): Promise<void> {
  const bytes = encoder.encode(to.isTerminal() && !raw ? spellControls(text) : text);
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

/** The terminal's width in columns; a default if there is none. */
export function columnsOf(): number {
  try {
    return Deno.consoleSize().columns || USUAL_COLUMNS;
  } catch {
    return USUAL_COLUMNS;
  }
}

/** @returns The lines of a table: one per row, its columns aligned and two spaces apart. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const width = (cell = ""): number => stripAnsiCode(cell).length;
  const columns = Math.max(0, ...rows.map(({ length }) => length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => width(row[column]))));
  return rows.map((row) =>
    row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - width(cell))).join("  ").trimEnd()
  );
}
