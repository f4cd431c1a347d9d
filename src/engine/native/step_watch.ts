/**
 * Monitors long steps. The native library calls back after every CPU operation, on the calling thread: a heartbeat
 * however slow the step is, and a way to abort it. A callback costs a few microseconds and a step makes hundreds, so
 * short steps are not watched.
 */
import type { Library } from "./library.ts";
import type { Model } from "./model.ts";

/** Bytes of weights times tokens above which a step takes a tenth of a second or more. */
const LONG_STEP = 1e9;
/** After a step or a pause this long, in milliseconds, the next step is watched whatever its size. */
const SLOW_MS = 250;
const REST_MS = 1000;
/** Default interval of checks, in milliseconds. */
const LOOK_MS = 10;

/** Periodic check; returns true to abort the step. */
export type LookIn = () => boolean;

/** When to watch a step. */
export interface WatchLimits {
  /** Bytes of weights times tokens of a long step; default: about a tenth of a second. */
  readonly longStep?: number;
  /** Interval of checks, in milliseconds. */
  readonly lookMs?: number;
}

export interface StepWatchOptions {
  readonly model: Pick<Model, "bytes" | "accelerator">;
  readonly lookIn: LookIn;
  /** Overrides for tests. */
  readonly limits?: WatchLimits;
  readonly now?: () => number;
}

export class StepWatch {
  readonly #options: StepWatchOptions;
  readonly #possible: boolean;
  readonly #lookMs: number;
  readonly #now: () => number;
  /** Of the callback: within one, `performance.now()` takes 15 microseconds, a twentieth of a step of some prompts. */
  readonly #cheapNow: () => number;
  readonly #callback: Deno.UnsafeCallback<{ parameters: ["pointer"]; result: "bool" }>;
  #lastLook = 0;
  #givenUp = false;
  #error: unknown;
  #lastEnd = -Infinity;
  #lastMs = Infinity;

  constructor(options: StepWatchOptions) {
    this.#options = options;
    this.#lookMs = options.limits?.lookMs ?? LOOK_MS;
    const { accelerator } = options.model;
    // Metal computes differently with a callback set, and calls it only while profiling.
    this.#possible = accelerator === "cpu" || Deno.build.os !== "darwin";
    this.#now = options.now ?? ((): number => performance.now());
    this.#cheapNow = options.now ?? Date.now;
    this.#callback = new Deno.UnsafeCallback({ parameters: ["pointer"], result: "bool" }, () => this.#called());
  }

  /**
   * Run a step, watched if it may take long.
   *
   * @param step Number of tokens, and the computation.
   * @throws Any error of the check, which aborts the step.
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
      this.#lastLook = this.#cheapNow();
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

  /** Long by size, or at risk: pages may have to be read from disk again. */
  #isWorthIt(tokens: number, now: number): boolean {
    const { model, limits: { longStep = LONG_STEP } = {} } = this.#options;
    if (!this.#possible) return false;
    return tokens * model.bytes > longStep || this.#lastMs > SLOW_MS || now - this.#lastEnd > REST_MS;
  }

  /** Errors must not propagate through native code. */
  #called(): boolean {
    if (this.#givenUp) return true;
    const now = this.#cheapNow();
    // The system's clock may be set back.
    if (Math.abs(now - this.#lastLook) < this.#lookMs) return false;
    this.#lastLook = now;
    try {
      this.#givenUp = this.#options.lookIn();
    } catch (error) {
      this.#error = error ?? new Error("The step watch failed");
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
