import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Library } from "../../../../src/engine/native/library.ts";
import { StepWatch, type StepWatchOptions } from "../../../../src/engine/native/step_watch.ts";

const CONTEXT = {} as NonNullable<Deno.PointerValue>;
/** Bytes of weights: a few tokens of it are a long step. */
const LARGE = 1e9;

/** The part of the native library that a watch uses, and a clock. */
class Ground {
  now = 0;
  /** What the library calls while it computes. */
  installed: Deno.PointerValue = null;
  looks = 0;
  answer: () => boolean = () => false;
  readonly library = {
    llama: {
      llama_set_abort_callback: (_context: unknown, callback: Deno.PointerValue): void => {
        this.installed = callback;
      },
    },
  } as unknown as Pick<Library, "llama">;

  watch(options: Partial<StepWatchOptions> = {}): StepWatch {
    return new StepWatch({
      model: { bytes: LARGE, accelerator: "cpu" },
      lookIn: () => {
        this.looks++;
        return this.answer();
      },
      now: () => this.now,
      ...options,
    });
  }

  /** Compute operations that take so many milliseconds each, as the library does. Whether it was watched, given up. */
  step(watch: StepWatch, tokens: number, operations: readonly number[]): { watched: boolean; givenUp: boolean } {
    return watch.run(this.library, CONTEXT, {
      tokens,
      compute: () => {
        const watched = this.installed !== null;
        for (const ms of operations) {
          this.now += ms;
          if (this.installed !== null && this.#call(this.installed)) return { watched, givenUp: true };
        }
        return { watched, givenUp: false };
      },
    });
  }

  #call(callback: NonNullable<Deno.PointerValue>): boolean {
    const type = { parameters: ["pointer"], result: "bool" } as const;
    return new Deno.UnsafeFnPointer(callback as Deno.PointerObject<typeof type>, type).call(null);
  }
}

Deno.test("StepWatch looks in now and then while a long step computes, and leaves no callback behind", () => {
  const ground = new Ground();
  const outcome = ground.step(ground.watch(), 100, Array.from({ length: 1000 }, () => 1));
  assertEquals(outcome, { watched: true, givenUp: false });
  assert(ground.looks >= 90 && ground.looks <= 100, `${ground.looks} looks in a second`);
  assertEquals(ground.installed, null);
});

Deno.test("StepWatch gives a step up when looking in says so, and asks no more", () => {
  const ground = new Ground();
  ground.answer = () => ground.looks === 3;
  const watch = ground.watch();
  assertEquals(ground.step(watch, 100, Array.from({ length: 1000 }, () => 20)), { watched: true, givenUp: true });
  assertEquals(ground.looks, 3);
  // The next step is another.
  ground.answer = () => false;
  assertEquals(ground.step(watch, 100, [20, 20]), { watched: true, givenUp: false });
});

Deno.test("StepWatch throws what looking in threw when the step is over, not through native code", () => {
  const ground = new Ground();
  ground.answer = () => {
    throw new Error("mine");
  };
  const watch = ground.watch();
  assertThrows(() => ground.step(watch, 100, [20, 20, 20]), Error, "mine");
  assertEquals([ground.looks, ground.installed], [1, null]);
  ground.answer = () => false;
  ground.step(watch, 100, [20]);
});

Deno.test("StepWatch costs short steps nothing, once it is known that they are short", () => {
  const ground = new Ground();
  const watch = ground.watch({ model: { bytes: 1e6, accelerator: "cpu" } });
  const isWatched = (ms: number): boolean => ground.step(watch, 1, [ms]).watched;
  assertEquals([isWatched(5), isWatched(5), isWatched(5)], [true, false, false]);
  // What it needs may have to be read from a disk: then one token may take longer than silence may last.
  assertEquals([isWatched(400), isWatched(5), isWatched(5)], [false, true, false]);
  ground.now += 60_000;
  assertEquals([isWatched(5), isWatched(5)], [true, false]);
});
