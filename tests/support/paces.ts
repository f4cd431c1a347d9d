/** A pace whose pauses take no time but a turn. */
import { Pace } from "../../src/ndjson/pace.ts";
import { nextTurn } from "./waiting.ts";

/** Notes the pauses, in whole milliseconds. */
export class PaceUnderTest {
  running = 1;
  /** Time by the pace's clock. */
  ms = 0;
  readonly pauses: number[] = [];
  readonly pace: Pace = new Pace(() => this.running, {
    now: () => this.ms,
    delay: async (ms) => {
      this.pauses.push(Math.round(ms));
      await nextTurn();
    },
  });
}
