/**
 * What llama.cpp leaves behind when a step is given up in the middle: the next ones have to compute as if it had never
 * been.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Context } from "../../src/engine/native/context.ts";
import { ModelEncoder } from "../../src/engine/encode/encoder.ts";
import { type Library, openLibrary } from "../../src/engine/native/library.ts";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { Model } from "../../src/engine/native/model.ts";
import { purposeOf } from "../../src/engine/encode/purpose.ts";
import { GivenUpError } from "../../src/engine/native/text_context.ts";
import { BUILT_INS } from "../../src/models/built_in.ts";

const SEQUENCES = 2;
const PROMPT = 120;

/** A clock whose every look is worth a look in, and what is said then. */
class Looks {
  count = 0;
  /** The look at which the step is given up. */
  last = Infinity;
  readonly lookIn = (): boolean => ++this.count >= this.last;
}

async function load(name: keyof typeof BUILT_INS): Promise<[Library, Model]> {
  const library = openLibrary({ folder: await packagedFolder(), own: false });
  const model = Model.load(library, [fromFileUrl(BUILT_INS[name].url)], {});
  return [library, model];
}

function contextOf(library: Library, model: Model, looks: Looks): Context {
  return new Context(library, model, {
    contextTokens: 512,
    parallel: SEQUENCES,
    kept: [],
    threads: 2,
    memoryBytes: 1e9,
    lookIn: looks.lookIn,
    limits: { lookMs: 0, longStep: 0 },
  });
}

/** The likeliest token of a row. */
function best(logits: Float32Array): number {
  let found = 0;
  for (let token = 1; token < logits.length; token++) {
    if ((logits[token] as number) > (logits[found] as number)) found = token;
  }
  return found;
}

/** Two sequences that run beside each other: a token of the first goes with a portion of the second's prompt. */
function compute(context: Context, disturb: (put: () => void, held: readonly number[]) => void): number[] {
  const told: number[] = [];
  const held = [0, 0];
  const put = (sequence: number, token: number, output: boolean, ahead: number): void =>
    context.put(token, (held[sequence] as number) + ahead, sequence, output);
  let next = 7;
  for (let from = 0; from < PROMPT; from += 40) {
    const batch = (): void => {
      put(0, next, true, 0);
      for (let at = 0; at < 40; at++) put(1, 5 + (from + at) % 50, at === 39, at);
    };
    disturb(batch, held);
    batch();
    assertEquals(context.decode(), "done");
    next = best(context.logits(0));
    told.push(next, best(context.logits(1)));
    held[0] = (held[0] as number) + 1;
    held[1] = (held[1] as number) + 40;
  }
  return told;
}

Deno.test("Context computes the same after decodes that were given up at any operation", async () => {
  const [library, model] = await load("inferd-tiny");
  const looks = new Looks();
  const context = contextOf(library, model, looks);
  const undisturbed = compute(context, () => {});
  const operations = looks.count / (PROMPT / 40);
  assert(operations > 50, `${operations} operations`);
  for (const share of [0, 0.1, 0.5, 0.9]) {
    context.clear();
    looks.last = Infinity;
    const disturbed = compute(context, (batch, held) => {
      batch();
      looks.count = 0;
      looks.last = Math.max(1, Math.floor(operations * share));
      assertEquals(context.decode(), "aborted");
      looks.last = Infinity;
      for (let sequence = 0; sequence < SEQUENCES; sequence++) {
        assert(context.truncate(sequence, held[sequence] as number));
      }
    });
    assertEquals(disturbed, undisturbed, `given up after ${share} of the operations`);
  }
  library.endLoading();
});

Deno.test("ModelEncoder makes the same vectors after texts that were given up", async () => {
  const [library, model] = await load("inferd-tiny-embed");
  const looks = new Looks();
  const purpose = purposeOf(model, { modelPath: BUILT_INS["inferd-tiny-embed"].url.pathname });
  assert(purpose.purpose !== "generate");
  const encoder = new ModelEncoder(library, model, {
    threads: 2,
    pooling: purpose.pooling,
    lookIn: looks.lookIn,
    limits: { lookMs: 0, longStep: 0 },
  });
  const text = Int32Array.from({ length: 60 }, (_, at) => 5 + at);
  const vector = [...encoder.encode([text])[0] ?? []];
  looks.count = 0;
  looks.last = 20;
  assertThrows(() => encoder.encode([text, text]), GivenUpError);
  looks.last = Infinity;
  assertEquals([...encoder.encode([text])[0] ?? []], vector);
  library.endLoading();
});
