/**
 * Progress of long work: on a terminal one line on stderr that is overwritten, elsewhere a plain line for each step.
 */
import { spellControls } from "../../log/controls.ts";
import { columnsOf, isScreen } from "./output.ts";

const encoder = new TextEncoder();
/** The widest bar. */
const MOST_WIDTH = 24;
/** A terminal with fewer columns has no room for one. */
const LEAST_COLUMNS = 50;

/** Tells people how far things are. */
export interface Progress {
  /** A step begins. */
  step(text: string): void;
  /** How far the step is, 0 … 1 or not known, and what there is to say of that, the most important first. */
  at(fraction: number | undefined, notes?: string | readonly string[]): void;
  /** Something worth keeping on the screen. */
  note(text: string): void;
  /** Take away what is written over. */
  clear(): void;
}

/**
 * Progress on stderr.
 *
 * @returns A bar on a terminal, lines elsewhere.
 */
export function stderrProgress(): Progress {
  const print = (text: string): void => {
    Deno.stderr.writeSync(encoder.encode(text));
  };
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
      // What changes comes first, as a narrow terminal cuts the end.
      draw(`${bar}${[...[notes].flat().filter((note) => note !== ""), current].join("  ")}`);
    },
    note(text): void {
      print(`\r\x1b[2K${spellControls(text)}\n`);
    },
    clear: () => print("\r\x1b[2K"),
  };
}
