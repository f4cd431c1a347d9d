/**
 * The only way text gets to stdout and stderr. Names, paths, answers and errors come from strangers, and a terminal does
 * what control characters say: it sets the clipboard, moves the cursor, answers as if somebody had typed. So a terminal
 * gets them spelt out; a file or a pipe gets everything as it is.
 */

import { dim } from "@std/fmt/colors";
import { spellControls } from "../../log/controls.ts";

const encoder = new TextEncoder();
const USUAL_COLUMNS = 80;

/** The colours that this program uses. */
// deno-lint-ignore no-control-regex
const COLOURED = /(\x1b\[(?:[0-2]|22|3[0-79])m)/;

/** The same, but for this program's own colours. */
function spellAllButColours(text: string): string {
  return text.split(COLOURED).map((part, i) => i % 2 === 1 ? part : spellControls(part)).join("");
}

/** Print a line to stdout. */
export function print(line: string): void {
  console.log(Deno.stdout.isTerminal() ? spellAllButColours(line) : line);
}

/** Print a line to stderr. */
export function complain(line: string): void {
  console.error(Deno.stderr.isTerminal() ? spellAllButColours(line) : line);
}

/** Print a line to stderr that a terminal shows as less important. */
export function remark(line: string): void {
  complain(Deno.stderr.isTerminal() ? dim(line) : line);
}

/** Whether the terminal obeys escape sequences; see `setTerminalType`. */
let obeys = true;

/** @param type As `TERM` names it; absent: not known. */
export function setTerminalType(type: string | undefined): void {
  obeys = type !== "dumb";
}

/** Whether something is a terminal that obeys escape sequences. */
export function isScreen(stream: Pick<Sink, "isTerminal">): boolean {
  return obeys && stream.isTerminal();
}

/** Where a text goes. */
export interface Sink {
  isTerminal(): boolean;
  write(bytes: Uint8Array): Promise<number>;
}

/**
 * Write a piece of text, all of it.
 *
 * @param to Where.
 * @param text What a model wrote, or another stranger.
 * @param raw A terminal gets it as it is.
 */
export async function writeText(to: Sink, text: string, raw = false): Promise<void> {
  const bytes = encoder.encode(to.isTerminal() && !raw ? spellControls(text) : text);
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

/** How many columns the terminal has; as many as usual where there is none. */
export function columnsOf(): number {
  try {
    return Deno.consoleSize().columns || USUAL_COLUMNS;
  } catch {
    return USUAL_COLUMNS;
  }
}
