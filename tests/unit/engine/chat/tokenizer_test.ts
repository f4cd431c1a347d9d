/** How the engine hands out long answers of its tokenizer. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Chat } from "../../../../src/engine/chat/chat.ts";
import { Tokenizer, TokenizerError, type TokenizerModel } from "../../../../src/engine/chat/tokenizer.ts";
import { finish } from "../../../../src/work/work.ts";

const PART = 4096;

/** A model whose text of one character has as many tokens as the character's code. */
function tokenizer(): Tokenizer {
  const model: TokenizerModel = {
    vocabularySize: 100_000,
    tokenize: (text) => Int32Array.from({ length: text.charCodeAt(0) }, (_, i) => i),
    tokenizeWhole: () => new Int32Array(0),
    tokenizeBeside: () => Promise.resolve(new Int32Array(0)),
    piece: () => new Uint8Array(0),
    describe: String,
  };
  return new Tokenizer(model, {} as Chat);
}

function ask(one: Tokenizer, id: number, count: number): ReturnType<Tokenizer["more"]> {
  const text = String.fromCharCode(count);
  return finish(one.answer(id, { type: "tokenize", text, addSpecial: false, parseSpecial: false }));
}

Deno.test("Long lists of tokens are handed out in parts, of which each is small", () => {
  for (const count of [1, PART, PART + 1, 2 * PART, 50_000]) {
    const one = tokenizer();
    const tokens: number[] = [];
    let parts = 0;
    for (let part = ask(one, 7, count);; part = one.more(7)) {
      assert("tokens" in part.answer);
      assert(part.answer.tokens.length <= PART);
      tokens.push(...part.answer.tokens);
      assertEquals(part.left, tokens.length < count ? count - tokens.length : undefined);
      parts++;
      if (part.left === undefined) break;
    }
    assertEquals(parts, Math.ceil(count / PART));
    assertEquals(tokens, Array.from({ length: count }, (_, i) => i));
    assertThrows(() => one.more(7), TokenizerError);
  }
});

Deno.test("Requests have their own rests, and a cancelled one has none", () => {
  const one = tokenizer();
  ask(one, 1, PART + 1);
  ask(one, 2, PART + 2);
  one.forget(1);
  assertThrows(() => one.more(1), TokenizerError);
  assertEquals(one.more(2), { answer: { tokens: [PART, PART + 1] } });
});
