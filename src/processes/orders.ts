/**
 * What daemon and monitor say to each other on the daemon's stdin and stdout. The daemon has a closed set of lines, a word
 * and a number each: it cannot say what is started, with which arguments or which environment.
 */
import type { ProcessKind } from "./process.ts";

/** What the monitor can start: fixed commands, computed before the daemon runs. */
export type ChildKind = ProcessKind | "http";

/** Daemon → monitor: start one of these, ask one to end, or kill one. */
export interface Order {
  readonly word: ChildKind | "end" | "kill";
  /** Of the process; the daemon chooses another one for each. */
  readonly number: number;
}

/** Monitor → daemon, a line of JSON each. */
export type Report =
  | { readonly number: number; readonly pid: number }
  | { readonly number: number; readonly stderr: string }
  | { readonly number: number; readonly code: number; readonly signal: string | null }
  /** It could not be started. `error` is a code of the system, where it said one. */
  | { readonly number: number; readonly failure: string; readonly error?: string };

/** Longer lines are no orders. */
export const MOST_ORDER_BYTES = 32;

const ORDER = /^(engine|libraries|chat_formats|http|end|kill) ([1-9][0-9]{0,14})$/;

/**
 * Read an order.
 *
 * @param line Without its newline.
 * @returns Undefined if it is none.
 */
export function parseOrder(line: string): Order | undefined {
  const [, word, number] = ORDER.exec(line) ?? [];
  return word === undefined ? undefined : { word: word as Order["word"], number: Number(number) };
}

/**
 * Where processes that the monitor starts meet the daemon.
 *
 * @param places `runtimeDir`: nobody else can look into it. `lockPath`: tells daemons apart that share it.
 */
export function privateSocketPath(places: { readonly runtimeDir: string; readonly lockPath: string }): string {
  // FNV-1a: a name that is short however long the path is.
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(places.lockPath)) hash = Math.imul(hash ^ byte, 0x01000193);
  return `${places.runtimeDir}/engine-${(hash >>> 0).toString(16).padStart(8, "0")}.sock`;
}
