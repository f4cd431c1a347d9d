/**
 * Chooses the source and length of drafts for a step: prompt lookup first, otherwise the draft model while it pays.
 * Knows nothing of batches.
 */
import type { Running } from "../running.ts";
import type { Slot } from "../slots.ts";
import type { Draft } from "./draft.ts";
import { MOST_STREAMS, Speculation, StepTimes } from "./speculation.ts";

/** After this many steps with the draft model, one without it is measured. */
const DRAFTED_STEPS = 64;

export interface Guess {
  readonly tokens: readonly number[];
  /** Called with the number of accepted tokens. */
  readonly source?: Speculation;
  /** Duration of drafting. */
  readonly ms: number;
}

export const NO_GUESS: Guess = { tokens: [], ms: 0 };

export interface GuessesOptions {
  /** Rows of logits available for drafted tokens; 0: no speculation. */
  readonly rows: number;
  readonly draft?: Draft;
}

export class Guesses {
  readonly #rows: number;
  readonly #draft: Draft | undefined;
  /** How long steps without guesses take. */
  readonly times = new StepTimes();
  /** One for all answers: the acceptance rate depends on the two models. */
  readonly #drafting = new Speculation();
  #draftedSteps = 0;

  constructor({ rows, draft }: GuessesOptions) {
    this.#rows = rows;
    this.#draft = draft;
  }

  /** Drafts for a step; called once per step. */
  of(going: readonly Slot<Running>[]): readonly Guess[] {
    if (this.#rows === 0 || going.length === 0 || going.length > MOST_STREAMS) return going.map(() => NO_GUESS);
    const most = Math.floor(this.#rows / going.length);
    const guesses = going.map((slot): Guess => {
      const { lookup, speculation, room } = slot.job as Running;
      const tokens = lookup.guess(Math.min(most, speculation.most(), room));
      return tokens.length === 0 ? NO_GUESS : { tokens, source: speculation, ms: 0 };
    });
    const without = going.flatMap((slot, at) => guesses[at] === NO_GUESS ? [{ slot, at }] : []);
    if (this.#draft === undefined || without.length === 0) return guesses;
    const drafted = this.#drafted(this.#draft, without.map(({ slot }) => slot), { streams: going.length, most });
    for (const [index, { at }] of without.entries()) guesses[at] = drafted[index] ?? NO_GUESS;
    return guesses;
  }

  #drafted(
    draft: Draft,
    slots: readonly Slot<Running>[],
    { streams, most }: { readonly streams: number; readonly most: number },
  ): readonly Guess[] {
    // Whether it pays can only be measured against steps without it.
    if (!this.times.knows(streams) || this.#draftedSteps >= DRAFTED_STEPS) {
      this.#draftedSteps = 0;
      return [];
    }
    const useful = Math.min(most, this.#drafting.most());
    if (useful === 0) return [];
    const { guesses, ms } = draft.propose(slots.map((slot) => {
      const { chosen, room } = slot.job as Running;
      return { slot, tokens: slot.tokens, chosen, most: Math.min(useful, room) };
    }));
    if (guesses.some(({ length }) => length > 0)) this.#draftedSteps++;
    return guesses.map((tokens) => tokens.length === 0 ? NO_GUESS : { tokens, source: this.#drafting, ms });
  }
}
