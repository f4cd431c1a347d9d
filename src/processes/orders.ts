/**
 * Messages between daemon and monitor on the daemon's stdin and stdout. The daemon can only send a word and a number:
 * it has no say in the command, its arguments or its environment.
 */
import type { ProcessKind } from "./process.ts";

/** Processes the monitor can start: fixed commands, computed before the daemon runs. */
export type ChildKind = ProcessKind | "http";

/** Daemon → monitor: start, end or kill a process. */
export interface Order {
  readonly word: ChildKind | "end" | "kill";
  /** Process number; the daemon uses each one once. */
  readonly number: number;
}

/** Monitor → daemon, one line of JSON each. */
export type Report =
  | { readonly number: number; readonly pid: number }
  | { readonly number: number; readonly stderr: string }
  | { readonly number: number; readonly code: number; readonly signal: string | null }
  /** It could not be started. `error` is the system's error code, if known. */
  | { readonly number: number; readonly failure: string; readonly error?: string };

/** Longer lines are not orders. */
export const MOST_ORDER_BYTES = 32;

const ORDER = /^(engine|libraries|chat_formats|http|end|kill) ([1-9][0-9]{0,14})$/;

/** @returns Undefined if the line is not an order. */
export function parseOrder(line: string): Order | undefined {
  const [, word, number] = ORDER.exec(line) ?? [];
  return word === undefined ? undefined : { word: word as Order["word"], number: Number(number) };
}

/**
 * Path of the socket on which processes started by the monitor connect to the daemon.
 *
 * @param places `runtimeDir`: accessible to this user only. `lockPath`: distinguishes daemons that share it.
 */
export function privateSocketPath(places: { readonly runtimeDir: string; readonly lockPath: string }): string {
  // FNV-1a keeps the name short whatever the length of the path: no longer than infer.rerank.sock, so that a folder has
  // room for this socket where it has for the others.
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(places.lockPath)) hash = Math.imul(hash ^ byte, 0x01000193);
  return `${places.runtimeDir}/eng-${(hash >>> 0).toString(16).padStart(8, "0")}.sock`;
}
