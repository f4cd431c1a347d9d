/** Progress display: on a terminal one line on stderr that is overwritten, otherwise a plain line per step. */
import { spellControls } from "../../log/controls.ts";
import { columnsOf, isScreen, writeToStderr as print } from "./output.ts";

const MOST_WIDTH = 24;
/** Narrower terminals have no room for a bar. */
const LEAST_COLUMNS = 50;

export interface Progress {
  step(text: string): void;
  /** Report the fraction done, 0 … 1 or unknown, with notes, most important first. */
  at(fraction: number | undefined, notes?: string | readonly string[]): void;
  /** Print a permanent line. */
  note(text: string): void;
  /** Erase the overwritten line. */
  clear(): void;
}

/** @returns A bar on a terminal, lines elsewhere. */
export function stderrProgress(): Progress {
  if (!isScreen(Deno.stderr)) {
    return {
      step: (text) => print(`${text}\n`),
      at: () => {},
      note: (text) => print(`${text}\n`),
      clear: () => {},
    };
  }
  let current = "";
  const draw = (text: string): void => print(`\r\x1b[2K${spellControls(text).slice(0, columnsOf() - 1)}`);
  return {
    step(text): void {
      current = text;
      draw(text);
    },
    at(fraction, notes = []): void {
      const columns = columnsOf();
      const width = columns < LEAST_COLUMNS ? 0 : Math.min(MOST_WIDTH, Math.floor(columns / 4));
      const full = Math.round(Math.min(1, Math.max(0, fraction ?? 0)) * width);
      const bar = fraction === undefined || width === 0 ? "" : `[${"#".repeat(full)}${"-".repeat(width - full)}] `;
      // Changing parts come first, because a narrow terminal has room for the beginning only.
      draw(bar + partsThatFit([...[notes].flat().filter((note) => note !== ""), current], columns - 1 - bar.length));
    },
    note(text): void {
      print(`\r\x1b[2K${spellControls(text)}\n`);
    },
    clear: () => print("\r\x1b[2K"),
  };
}

/** Half a number would be a wrong one, so only the last part is truncated. */
export function partsThatFit(parts: readonly string[], columns: number): string {
  let line = "";
  for (const [index, part] of parts.entries()) {
    const longer = index === 0 ? part : `${line}  ${part}`;
    if (longer.length > columns && index > 0 && index < parts.length - 1) break;
    line = longer;
  }
  return line;
}
