/**
 * Records what a backend tells, and lets a test wait for it.
 */
import type { BackendNotice } from "../../src/inference/backend.ts";

/** What a backend has told so far. */
export class Notices {
  readonly all: BackendNotice[] = [];
  readonly #waiting = new Set<() => void>();

  /** For `Backend.start`. */
  readonly notify = (notice: BackendNotice): void => {
    this.all.push(notice);
    for (const look of [...this.#waiting]) look();
  };

  /** The first notice from index `from` on that fits, now or later. */
  async find(fits: (notice: BackendNotice) => boolean, from = 0): Promise<BackendNotice> {
    for (;;) {
      const found = this.all.slice(from).find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        const look = (): void => {
          this.#waiting.delete(look);
          resolve();
        };
        this.#waiting.add(look);
      });
    }
  }

  /** The next notice of a type that has not been told yet. */
  next(type: BackendNotice["type"]): Promise<BackendNotice> {
    return this.find((notice) => notice.type === type, this.all.length);
  }

  /** A record of the log, now or later. */
  logged(msg: string): Promise<Extract<BackendNotice, { type: "log" }>> {
    return this.find((notice) => notice.type === "log" && notice.msg === msg) as Promise<
      Extract<BackendNotice, { type: "log" }>
    >;
  }

  /** A line the engine has printed, now or later. */
  async printed(line: string): Promise<void> {
    await this.find((notice) => notice.type === "log" && notice.msg === "engine_stderr" && notice.fields.line === line);
  }

  /** The types told so far, without log records. */
  get types(): string[] {
    return this.all.filter(({ type }) => type !== "log").map(({ type }) => type);
  }
}
