/** Requests for an engine's tokenizer that are so large that they are asked for in parts. */
import { assert, assertEquals } from "@std/assert";
import { Encodings } from "../../../../src/backend/llama/encodings.ts";
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
    assert(parts.every(([, length]) => length !== undefined && length <= 4096), `${parts}`);
    // So that the engine names the right one when it refuses a token.
    assertEquals(parts.map(([from]) => from), [0, 4096, 8192]);
  }
});
