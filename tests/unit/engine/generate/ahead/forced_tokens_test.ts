import { assertEquals } from "@std/assert";
import { ForcedTokens } from "../../../../../src/engine/generate/ahead/forced_tokens.ts";
import { modelOf, shown } from "../../../../support/chat_model.ts";

const CONTROL = 256;
const DEFINED = 257;

/** Bytes, some longer texts, a control token, and a token of the vocabulary's own. */
const model = modelOf({
  control: ["<|call|>"],
  defined: ["[TOOL]"],
  ends: [],
  texts: ["name", "names", '":', '": "', '{"', "}.", '",'],
});

function tokenOf(text: string): number {
  return model.tokenize(text, false)[0] as number;
}

function forced(parts: readonly (string | number)[], options: { complete?: boolean; before?: number } = {}): string[] {
  const { complete = false, before } = options;
  return new ForcedTokens(model).of({ parts, complete }, before).map((token) => shown(model, [token]));
}

Deno.test("ForcedTokens leaves the last token to the model", () => {
  assertEquals(forced(['{"name":']), ['{"', "name"]);
});

Deno.test("ForcedTokens leaves to the model whatever may become another token with what follows", () => {
  // `names` and `": "` are tokens.
  assertEquals([forced(['{"name']), forced(['{"name": "'])], [['{"'], ['{"', "name"]]);
});

Deno.test("ForcedTokens makes all of it tokens when nothing can follow, and up to a named token", () => {
  assertEquals([forced(['"}'], { complete: true }), forced(["}", CONTROL, "name", CONTROL])], [
    ['"', "}"],
    ["}", "«<|call|>»", "name", "«<|call|>»"],
  ]);
});

Deno.test("ForcedTokens goes on from the last token as the tokenizer would", () => {
  assertEquals(forced(["e}"], { before: tokenOf("m") }), ["e"]);
  assertEquals(forced(["name}"], { before: CONTROL }), ["name"]);
});

Deno.test("ForcedTokens leaves it to the model when the tokenizer would have cut the text before elsewhere", () => {
  // After a quote comes a comma: that would have been one token.
  assertEquals(forced([', "name":'], { before: tokenOf('"') }), []);
});

Deno.test("ForcedTokens leaves it to the model when the last token is a part of a character", () => {
  assertEquals(forced(["name}"], { before: 0xc3 }), []);
});

Deno.test("ForcedTokens leaves it to the model when a token of the vocabulary's own would come of it", () => {
  const NONE = new Uint8Array(0);
  const tokens = new ForcedTokens({
    ...model,
    piece: (token) => token === DEFINED ? NONE : model.piece(token),
  });
  assertEquals(tokens.of({ parts: ["[TOOL]name"], complete: true }, undefined), []);
});

Deno.test("ForcedTokens takes no token for one at the beginning of a text when the vocabulary puts a space before it", () => {
  const spaced = new ForcedTokens({
    ...model,
    spacePrefix: true,
    tokenize: (text, special) => model.tokenize(` ${text}`, special),
  });
  const forced = { parts: ['{"name":'], complete: true };
  assertEquals(spaced.of(forced, undefined), []);
  assertEquals(spaced.of(forced, tokenOf("a")).map((token) => shown(model, [token])), ['{"', "name", '":']);
});
