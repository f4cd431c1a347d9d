/** What the scheduler does between steps: requests that are prepared, and masks that are found, beside running streams. */
import { assert, assertEquals } from "@std/assert";
import { ModelAnswer, type Vocabulary } from "../../../../src/engine/answer/answer.ts";
import { Parser } from "../../../../src/engine/answer/parser.ts";
import type { Job } from "../../../../src/engine/generate/running.ts";
import { Scheduler } from "../../../../src/engine/generate/scheduler.ts";
import type { EngineEvent } from "../../../../src/engine/ipc/messages.ts";
import type { DecodeOutcome, Decoder } from "../../../../src/engine/native/context.ts";
import type { Constraint } from "../../../../src/grammar/constraint.ts";
import { GrammarError } from "../../../../src/grammar/rules.ts";
import { settled, type Work } from "../../../../src/work/work.ts";

const SIZE = 64;
const END = 0;
const STEP_MS = 10;
const PIECE_MS = 0.5;
/** What is saved up for work at most. */
const SAVED_MS = 25;

/** Time, as the fake model and the fake work take it. */
class Clock {
  ms = 0;
}

/** After a token comes the next, round and round: its streams do not end. A step takes ten milliseconds. */
class RoundDecoder implements Decoder {
  readonly apart = false;
  readonly cells = 10_000;
  /** What a step takes longer for each token of many. */
  tokenMs = 0;
  worthCopying(): number {
    return 1;
  }
  /** When each batch was decoded, and how many tokens it had. */
  readonly steps: { readonly at: number; readonly tokens: number }[] = [];
  #batch: number[] = [];
  #rows: number[] = [];

  constructor(readonly clock: Clock) {}

  put(token: number, _position: number, _sequence: number, output: boolean): void {
    this.#batch.push(token);
    if (output) this.#rows.push(token);
  }

  decode(): DecodeOutcome {
    this.clock.ms += Math.max(STEP_MS, this.#batch.length * this.tokenMs);
    this.steps.push({ at: this.clock.ms, tokens: this.#batch.length });
    this.#batch = [];
    this.#last = this.#rows.splice(0);
    return "done";
  }
  #last: number[] = [];

  logits(row: number): Float32Array {
    const logits = new Float32Array(SIZE);
    logits[((this.#last[row] as number) % (SIZE - 1)) + 1] = 1;
    return logits;
  }

  beginRequest(): void {}

  truncate(): boolean {
    return true;
  }

  copy(): void {}
}

const LETTERS: Vocabulary = {
  vocabularySize: SIZE,
  piece: (token) => Uint8Array.of(0x3f + token),
  pieceText: (token) => String.fromCharCode(0x3f + token),
  endsAnswer: (token) => token === END,
};

function job(id: number, constraint?: Constraint): Job {
  const parser = new Parser({ dialect: {}, start: "text", calls: "ignore", tools: new Map(), stop: [], ends: [] });
  return {
    id,
    prompt: Int32Array.of(id),
    sampling: { temperature: 0, topP: 1, topK: 0 },
    maxTokens: 1000,
    answer: new ModelAnswer({
      id,
      vocabulary: LETTERS,
      parser,
      endTokens: new Set(),
      binding: constraint === undefined ? {} : { whole: () => constraint },
    }),
  };
}

interface Setup {
  readonly scheduler: Scheduler;
  readonly decoder: RoundDecoder;
  readonly clock: Clock;
  /** So many pieces of half a millisecond. */
  pieces(count: number): Work<void>;
  /** Step until it is so; returns all that happened. */
  until(wanted: (events: readonly EngineEvent[]) => boolean): EngineEvent[];
}

function setUp(parallel = 4): Setup {
  const clock = new Clock();
  const decoder = new RoundDecoder(clock);
  const scheduler = new Scheduler({ decoder, parallel, contextTokens: 2000, now: () => clock.ms });
  return {
    scheduler,
    decoder,
    clock,
    *pieces(count): Work<void> {
      for (let piece = 0; piece < count; piece++) {
        clock.ms += PIECE_MS;
        yield;
      }
    },
    until(wanted): EngineEvent[] {
      const events: EngineEvent[] = [];
      for (let steps = 0; !wanted(events); steps++) {
        assert(steps < 5000, "it does not happen");
        events.push(...scheduler.step());
      }
      return events;
    },
  };
}

const textsOf = (events: readonly EngineEvent[], id: number): string =>
  events.flatMap((event) => event.id === id && "t" in event ? [event.t] : []).join("");

/** Allows all tokens but those the model likes best, once that has been found out for a token. */
function costly(find: () => Work<void>): Constraint {
  let known = false;
  return {
    allows: (token) => known ? token === 7 : undefined,
    allowed: () => known ? Uint32Array.of(1 << 7, 0) : undefined,
    find: function* (): Work<void> {
      yield* find();
      known = true;
    },
    accept: () => void (known = false),
    complete: false,
  };
}

/** Allows everything, but asking it takes time. */
function slow(clock: Clock, ms: number): Constraint {
  return {
    allows: () => {
      clock.ms += ms;
      return true;
    },
    accept: () => {},
    complete: false,
  };
}

/** Between two tokens of a stream, the longest time. */
function longestGap({ steps }: RoundDecoder): number {
  return Math.max(...steps.slice(1).map(({ at }, i) => at - (steps[i]?.at as number)));
}

Deno.test("Scheduler leaves a stream its speed while a request beside it is prepared", () => {
  const { scheduler, decoder, clock, pieces, until } = setUp();
  scheduler.submit(job(1));
  until((events) => textsOf(events, 1).length >= 5);
  const [from, tokens] = [clock.ms, decoder.steps.length];
  scheduler.prepare(
    2,
    (function* (): Work<Job> {
      yield* pieces(400);
      return job(2);
    })(),
    () => ({ id: 2, error: "internal", message: "It failed" }),
  );
  until((events) => textsOf(events, 2).length >= 1);
  const speed = (decoder.steps.length - tokens) / (clock.ms - from);
  assert(speed > 0.8 / STEP_MS, `${speed * STEP_MS} of its speed`);
  assert(longestGap(decoder) <= STEP_MS + SAVED_MS + PIECE_MS, `${longestGap(decoder)} ms`);
});

Deno.test("Scheduler prepares a request at once when nothing is decoded", () => {
  const { scheduler, decoder, clock, pieces } = setUp();
  scheduler.prepare(
    1,
    (function* (): Work<Job> {
      yield* pieces(8);
      return job(1);
    })(),
    () => ({ id: 1, error: "internal", message: "It failed" }),
  );
  const events = scheduler.step();
  assertEquals([textsOf(events, 1).length, decoder.steps.length], [1, 1]);
  assertEquals(clock.ms, 8 * PIECE_MS + STEP_MS);
});

Deno.test("Scheduler goes on with other streams when it takes long to find out what may come in one", () => {
  const { scheduler, decoder, clock, pieces, until } = setUp();
  scheduler.submit(job(1));
  until((events) => textsOf(events, 1).length >= 5);
  const [from, tokens] = [clock.ms, decoder.steps.length];
  scheduler.submit(job(2, costly(() => pieces(200))));
  const events = until((events) => textsOf(events, 2).length >= 3);
  assertEquals(textsOf(events, 2), "FFF");
  const own = textsOf(events, 1).length;
  const speed = own / (clock.ms - from);
  assert(speed > 0.8 / STEP_MS, `${speed * STEP_MS} of its speed`);
  assert(longestGap(decoder) <= STEP_MS + SAVED_MS + PIECE_MS, `${longestGap(decoder)} ms`);
  // The other takes no part in steps meanwhile.
  assertEquals(decoder.steps.slice(tokens).filter((step) => step.tokens === 2).length, 4);
});

Deno.test("Scheduler loses no step when what may come is found out in the time that was saved up", () => {
  const { scheduler, decoder, pieces, until } = setUp();
  scheduler.submit(job(1));
  until((events) => textsOf(events, 1).length >= 20);
  const before = decoder.steps.length;
  scheduler.submit(job(2, costly(() => pieces(2))));
  const events = until((events) => textsOf(events, 2).length >= 10);
  assertEquals(textsOf(events, 2), "F".repeat(10));
  assert(decoder.steps.length - before <= 11, `${decoder.steps.length - before} steps for 10 tokens`);
});

Deno.test("Scheduler works without pause when every stream waits to find out what may come", () => {
  const { scheduler, decoder, clock, pieces, until } = setUp();
  scheduler.submit(job(1, costly(() => pieces(20))));
  until((events) => textsOf(events, 1).length >= 5);
  // The step after the last token is done at once.
  assertEquals([decoder.steps.length, clock.ms], [6, 6 * STEP_MS + 5 * 20 * PIECE_MS]);
});

Deno.test("Scheduler reads a prompt in the portions that streams allow while one of them waits for what may come", () => {
  const { scheduler, decoder, pieces, until } = setUp();
  decoder.tokenMs = 1;
  const read = (id: number): Job => ({ ...job(id), prompt: new Int32Array(1500).fill(id), maxTokens: 1 });
  // Alone, in whole batches.
  for (const id of [2, 3]) {
    scheduler.submit(read(id));
    until((events) => events.some((event) => event.id === id && "done" in event));
  }
  assertEquals(Math.max(...decoder.steps.map(({ tokens }) => tokens)), 512);
  const before = decoder.steps.length;
  scheduler.submit(job(1, costly(() => pieces(100_000))));
  scheduler.step();
  scheduler.submit(read(4));
  until((events) => events.some((event) => event.id === 4 && "done" in event));
  const most = Math.max(...decoder.steps.slice(before).map(({ tokens }) => tokens));
  assert(most <= 320, `${most} tokens in a step`);
});

Deno.test("Scheduler leaves a stream its speed beside one whose tokens take long to draw", () => {
  const { scheduler, clock, until } = setUp();
  scheduler.submit(job(1));
  until((events) => textsOf(events, 1).length >= 5);
  const from = clock.ms;
  scheduler.submit(job(2, slow(clock, 2 * STEP_MS)));
  const events = until((events) => textsOf(events, 2).length >= 20);
  // Each token once, and in order.
  assertEquals(textsOf(events, 2), "BCDEFGHIJKLMNOPQRSTU");
  const speed = textsOf(events, 1).length / (clock.ms - from);
  assert(speed > 0.8 / STEP_MS, `${speed * STEP_MS} of its speed`);
});

Deno.test("Scheduler draws at once what takes long where no other stream would wait for it", () => {
  const { scheduler, decoder, clock, until } = setUp();
  for (const id of [1, 2]) scheduler.submit(job(id, slow(clock, 2 * STEP_MS)));
  until((events) => textsOf(events, 1).length >= 10);
  assertEquals(decoder.steps.slice(1).filter(({ tokens }) => tokens !== 2), []);
});

Deno.test("Scheduler refuses the request when it is given up to find out what may come", () => {
  const { scheduler, pieces, until } = setUp();
  scheduler.submit(job(1));
  const giveUp = function* (): Work<void> {
    yield* pieces(3);
    throw new GrammarError("The grammar is too ambiguous to be followed");
  };
  scheduler.submit(job(2, costly(giveUp)));
  const events = until((events) => events.some((event) => event.id === 2));
  assertEquals(events.filter(({ id }) => id === 2), [
    { id: 2, error: "invalid_request", message: "The grammar is too ambiguous to be followed" },
  ]);
  // Its slot is free again.
  until((events) => textsOf(events, 1).length >= 3);
  scheduler.cancel(1);
  assert(!scheduler.busy);
});

Deno.test("Scheduler does nothing more for a request that is cancelled while it is prepared or something is found out", () => {
  const { scheduler, pieces, until } = setUp();
  scheduler.submit(job(1));
  until((events) => textsOf(events, 1).length >= 1);
  let ended = 0;
  const counted = function* (): Work<void> {
    try {
      yield* pieces(1000);
    } finally {
      ended++;
    }
  };
  scheduler.submit(job(2, costly(counted)));
  scheduler.prepare(
    3,
    (function* (): Work<Job> {
      yield* counted();
      return job(3);
    })(),
    () => ({ id: 3, error: "internal", message: "It failed" }),
  );
  until((events) => textsOf(events, 1).length >= 5);
  scheduler.cancel(2);
  scheduler.cancel(3);
  assertEquals(ended, 2);
  scheduler.cancel(1);
  assert(!scheduler.busy);
});

Deno.test("Scheduler says what is wrong with a request that cannot be prepared, and holds one back that was paused", () => {
  const { scheduler, pieces, until } = setUp();
  scheduler.prepare(
    1,
    (function* (): Work<Job> {
      yield* pieces(1);
      throw new RangeError("too long");
    })(),
    (error) => ({ id: 1, error: "invalid_request", message: String(error) }),
  );
  scheduler.prepare(
    2,
    (function* (): Work<Job> {
      yield* pieces(1);
      return job(2);
    })(),
    () => ({ id: 2, error: "internal", message: "It failed" }),
  );
  scheduler.pause(2);
  const events = until((events) => events.length > 0);
  assertEquals(events, [{ id: 1, error: "invalid_request", message: "RangeError: too long" }]);
  scheduler.step();
  assertEquals(scheduler.step(), []);
  scheduler.resume(2);
  until((events) => textsOf(events, 2).length >= 1);
});

Deno.test("Scheduler waits for what is computed beside it, and does not work meanwhile", async () => {
  const { scheduler, until } = setUp();
  const computing = Promise.withResolvers<number>();
  scheduler.prepare(
    1,
    (function* (): Work<Job> {
      return job(yield* settled(computing.promise));
    })(),
    () => ({ id: 1, error: "internal", message: "It failed" }),
  );
  assertEquals(scheduler.step(), []);
  assert(!scheduler.busy);
  const { beside } = scheduler;
  assert(beside !== undefined);
  computing.resolve(1);
  await beside;
  assertEquals(scheduler.beside, undefined);
  until((events) => textsOf(events, 1).length >= 1);
});
