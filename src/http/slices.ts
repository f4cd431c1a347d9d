/** Work on one body that takes long, in slices: others are served in between. */
import { turn } from "../inference/turn.ts";
import { type Pace, UNPACED } from "../ndjson/pace.ts";

/** How long one slice takes, in milliseconds, give or take a step. */
const SLICE_MS = 4;

/** How long the work on one body pauses for others, all pauses together, in milliseconds. */
export const MOST_PAUSED_MS = 10_000;

export class Slices {
  readonly #pace: Pace;
  #since = performance.now();
  #workedMs = 0;
  #pausedMs = 0;

  /** @param pace How fast to work; absent: as fast as possible. */
  constructor(pace: Pace = UNPACED) {
    this.#pace = pace;
  }

  /** The work goes on: what was awaited before does not count. */
  begin(): void {
    this.#since = performance.now();
  }

  /**
   * To be called between two steps.
   *
   * @param elsewhereMs What the step costs besides the time that it took here, in milliseconds.
   * @returns What to await before the next step, if the slice is over.
   */
  next(elsewhereMs = 0): Promise<void> | undefined {
    const now = performance.now();
    this.#workedMs += now - this.#since + elsewhereMs;
    this.#since = now;
    return this.#workedMs < SLICE_MS ? undefined : this.#rest();
  }

  async #rest(): Promise<void> {
    const start = performance.now();
    await ((this.#pausedMs < MOST_PAUSED_MS ? this.#pace.rest(this.#workedMs) : undefined) ?? turn());
    this.#pausedMs += performance.now() - start;
    this.#workedMs = 0;
    this.begin();
  }
}
