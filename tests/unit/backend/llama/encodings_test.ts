/** Requests for an engine's tokenizer that are so large that they are asked for in parts. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Encodings } from "../../../../src/backend/llama/encodings.ts";
import { Pace } from "../../../../src/ndjson/pace.ts";
import type { ToEngine } from "../../../../src/engine/ipc/messages.ts";

const encoder = new TextEncoder();

/** An engine whose token `n` is the byte at `n` of a text of three bytes a character. */
function setUp(): { readonly encodings: Encodings; readonly asked: Extract<ToEngine, { op: "tokenizer" }>[] } {
  const asked: Extract<ToEngine, { op: "tokenizer" }>[] = [];
  let id = 0;
  const euro = encoder.encode("€");
  const encodings: Encodings = new Encodings({
    model: "m",
    onBusy: () => {},
    nextId: () => ++id,
    send: (message) => {
      if (message.op !== "tokenizer" || message.request.type !== "detokenize") return;
      const { id, request: { tokens } } = message;
      asked.push(message as Extract<ToEngine, { op: "tokenizer" }>);
      const pieces = tokens.map((token) => [euro[token % euro.length] as number]);
      queueMicrotask(() => encodings.deliver({ id, answer: { pieces } }));
    },
  });
  return { encodings, asked };
}

Deno.test("Many tokens are detokenized in parts, and characters between two parts are whole", async () => {
  const tokens = Array.from({ length: 9999 }, (_, i) => i);
  const { signal } = new AbortController();
  for (const pieces of [false, true]) {
    const { encodings, asked } = setUp();
    const answer = await encodings.tokenizer({ type: "detokenize", tokens, pieces }, signal);
    if ("text" in answer) assertEquals(answer.text, "€".repeat(3333));
    else assertEquals("pieces" in answer && answer.pieces.flat(), [...encoder.encode("€".repeat(3333))]);
    const parts = asked.map(({ request }) =>
      request.type === "detokenize" ? [request.from, request.tokens.length] : []
    );
    assert(parts.every(([, length]) => length !== undefined && length <= 2048), `${parts}`);
    // So that the engine names the right one when it refuses a token.
    assertEquals(parts.map(([from]) => from), [0, 2048, 4096, 6144, 8192]);
  }
});

/** An engine that says tokens in parts when it is asked for more, and a pace whose rests the test ends. */
function inParts(parts: readonly number[][]): {
  readonly encodings: Encodings;
  readonly said: string[];
  /** Ends the rest that has begun, or will begin next. */
  rested(): Promise<void>;
} {
  const said: string[] = [];
  const rests: (() => void)[] = [];
  let begun = Promise.withResolvers<void>();
  const pace = new Pace(() => 2, {
    now: () => 0,
    delay: () => {
      said.push("rest");
      const { promise, resolve } = Promise.withResolvers<void>();
      rests.push(resolve);
      begun.resolve();
      return promise;
    },
  });
  let next = 0;
  const encodings: Encodings = new Encodings({
    model: "m",
    onBusy: () => {},
    nextId: () => 1,
    pace,
    send: ({ op }) => {
      said.push(op);
      if (op === "cancel") return;
      const tokens = parts[next++] as number[];
      const left = parts.slice(next).flat().length;
      queueMicrotask(() => encodings.deliver({ id: 1, answer: { tokens }, ...(left === 0 ? {} : { left }) }));
    },
  });
  const rested = async (): Promise<void> => {
    await begun.promise;
    begun = Promise.withResolvers();
    rests.shift()?.();
  };
  return { encodings, said, rested };
}

const TEXT = { type: "tokenize", text: "a", addSpecial: false, parseSpecial: false } as const;

Deno.test("The parts of a long list of tokens are asked for one by one, with rests while others run", async () => {
  const { encodings, said, rested } = inParts([[1, 2], [3], [4, 5]]);
  const answer = encodings.tokenizer(TEXT, new AbortController().signal);
  await rested();
  await rested();
  assertEquals(await answer, { tokens: [1, 2, 3, 4, 5] });
  assertEquals(said, ["tokenizer", "rest", "more", "rest", "more"]);
});

Deno.test("Nobody asks for more of an answer that is not wanted any more", async () => {
  const { encodings, said, rested } = inParts([[1], [2]]);
  const cancelling = new AbortController();
  const answer = encodings.tokenizer(TEXT, cancelling.signal);
  await Promise.resolve();
  cancelling.abort(new Error("gone"));
  await rested();
  await assertRejects(() => answer, Error, "gone");
  await Promise.resolve();
  assertEquals(said, ["tokenizer", "rest", "cancel"]);
  assertEquals(encodings.waiting, false);
});
