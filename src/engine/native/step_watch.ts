/**
 * Progress within a long step. The native library calls back after every operation that the CPU computes, on the
 * calling thread: a sign of life however slow the step is, and a way to abort it. A call costs about a microsecond and
 * a step makes hundreds of them, so short steps are not watched.
 */
import type { Library } from "./library.ts";
import type { Model } from "./model.ts";

/** Bytes of weights times tokens: a step of more takes a tenth of a second or longer. */
const LONG_STEP = 1e9;
/** After a step or a pause this long, in milliseconds, the next step is watched whatever its size. */
const SLOW_MS = 250;
const REST_MS = 1000;
/** From one look to the next, in milliseconds, where nothing else is said. */
const LOOK_MS = 10;

/** Looks in. True: the step is to be given up. */
export type LookIn = () => boolean;

/** When a step is watched. */
export interface WatchLimits {
  /** Bytes of weights times tokens from which on it is long; absent: what takes a tenth of a second. */
  readonly longStep?: number;
  /** From one look to the next, in milliseconds. */
  readonly lookMs?: number;
}

/** What is watched, and how. */
export interface StepWatchOptions {
  readonly model: Pick<Model, "bytes" | "accelerator">;
  readonly lookIn: LookIn;
  /** When a step is long, and how often it is looked at; for tests. */
  readonly limits?: WatchLimits;
  readonly now?: () => number;
}

/** Watches the steps of one context. */
export class StepWatch {
  readonly #options: StepWatchOptions;
  readonly #possible: boolean;
  readonly #lookMs: number;
  readonly #now: () => number;
  readonly #callback: Deno.UnsafeCallback<{ parameters: ["pointer"]; result: "bool" }>;
  #nextLook = 0;
  #givenUp = false;
  #error: unknown;
  #lastEnd = -Infinity;
  #lastMs = Infinity;

  constructor(options: StepWatchOptions) {
    this.#options = options;
    this.#lookMs = options.limits?.lookMs ?? LOOK_MS;
    const { accelerator } = options.model;
    // Metal computes otherwise where there is a callback, and calls it only while a profiler records.
    this.#possible = accelerator === "cpu" || Deno.build.os !== "darwin";
    this.#now = options.now ?? ((): number => performance.now());
    this.#callback = new Deno.UnsafeCallback({ parameters: ["pointer"], result: "bool" }, () => this.#called());
  }

  /**
   * Compute a step, watched if it may take long.
   *
   * @param library Computes.
   * @param context What is computed on.
   * @param step How many tokens, and the computing.
   * @returns What `compute` returned.
   * @throws What looking in threw; the step was given up for it.
   */
  run<T>(
    { llama }: Pick<Library, "llama">,
    context: NonNullable<Deno.PointerValue>,
    { tokens, compute }: { readonly tokens: number; readonly compute: () => T },
  ): T {
    const started = this.#now();
    const watched = this.#isWorthIt(tokens, started);
    if (watched) {
      this.#givenUp = false;
      this.#nextLook = started + this.#lookMs;
      llama.llama_set_abort_callback(context, this.#callback.pointer, null);
    }
    try {
      return compute();
    } finally {
      if (watched) llama.llama_set_abort_callback(context, null, null);
      this.#lastEnd = this.#now();
      this.#lastMs = this.#lastEnd - started;
      this.#throwCaught();
    }
  }

  /** Long by its size; or in times when even a small one may be: what it needs may have to be read from a disk again. */
  #isWorthIt(tokens: number, now: number): boolean {
    const { model, limits: { longStep = LONG_STEP } = {} } = this.#options;
    if (!this.#possible) return false;
    return tokens * model.bytes > longStep || this.#lastMs > SLOW_MS || now - this.#lastEnd > REST_MS;
  }

  /** An error must not go through native code. */
  #called(): boolean {
    if (this.#givenUp) return true;
    const now = this.#now();
    if (now < this.#nextLook) return false;
    this.#nextLook = now + this.#lookMs;
    try {
      this.#givenUp = this.#options.lookIn();
    } catch (error) {
      this.#error = error ?? new Error("Looking in failed");
      this.#givenUp = true;
    }
    return this.#givenUp;
  }

  #throwCaught(): void {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
  }
}
