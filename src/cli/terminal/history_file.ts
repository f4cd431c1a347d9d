/** Input history of chats for the line editor, in a file only this user can read. */

import { dirname } from "node:path";

const MOST_LINES = 500;
/** Longer lines are not kept. */
const MOST_LENGTH = 4096;
/** A larger file is not ours. */
const MOST_BYTES = 4 * 1024 * 1024;
const MODE = 0o600;

/**
 * Persists lines across chats. If the file cannot be read or written, it silently keeps nothing: not worth disturbing a
 * conversation.
 */
export class HistoryFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** The lines, newest first, as the line editor expects. */
  read(): string[] {
    try {
      const { isFile, size } = Deno.statSync(this.#path);
      if (!isFile || size > MOST_BYTES) return [];
      const lines = Deno.readTextFileSync(this.#path).split("\n").filter((line) => line !== "");
      if (lines.length > 2 * MOST_LINES) this.#shorten(lines.slice(-MOST_LINES));
      return lines.slice(-MOST_LINES).toReversed();
    } catch {
      return [];
    }
  }

  /** Append a line; concurrent chats do not overwrite each other's. */
  add(line: string): void {
    if (line.trim() === "" || line.length > MOST_LENGTH || line.includes("\n")) return;
    const write = (): void => Deno.writeTextFileSync(this.#path, `${line}\n`, { append: true, mode: MODE });
    try {
      try {
        write();
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        Deno.mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
        write();
      }
    } catch {
      // See the class.
    }
  }

  #shorten(lines: readonly string[]): void {
    const next = `${this.#path}.new`;
    Deno.writeTextFileSync(next, `${lines.join("\n")}\n`, { mode: MODE });
    Deno.renameSync(next, this.#path);
  }
}
