/** Logs downloads at boot: start and size, periodic progress, and the end. */
import type { LoadPhase } from "@inferd/client/protocol";
import type { ActivityLog } from "./log.ts";

/** Minimum interval between records of one download. */
const EVERY_MS = 5000;

export class DownloadLog {
  readonly #log: Pick<ActivityLog, "info">;
  readonly #now: () => number;
  /** By source: time and progress of the last record. */
  readonly #told = new Map<string, { readonly at: number; readonly bytes: number }>();

  /** @param now Monotonic clock in milliseconds. */
  constructor(log: Pick<ActivityLog, "info">, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** Logs a phase if it is a download. */
  see(phase: LoadPhase): void {
    if (phase.phase !== "download") return;
    const { source_url: source, downloaded_bytes: bytes, total_bytes: total } = phase;
    const told = this.#told.get(source);
    const isWhole = total !== null && bytes >= total;
    if (told === undefined ? isWhole : told.bytes === bytes) return;
    if (told !== undefined && !isWhole && this.#now() - told.at < EVERY_MS) return;
    if (isWhole) this.#told.delete(source);
    else this.#told.set(source, { at: this.#now(), bytes });
    this.#log.info("download", {
      ...(total === null ? {} : { percent: Math.floor(bytes / total * 100) }),
      downloaded_bytes: bytes,
      total_bytes: total,
      source,
    });
  }
}
