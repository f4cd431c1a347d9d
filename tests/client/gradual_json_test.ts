import { gradualJson, isLarge, JoinedText, JsonText } from "@inferd/client/protocol";
import { assert, assertEquals } from "@std/assert";
import { randomFrom } from "../support/random.ts";

const MOST_PIECE_BYTES = 2 * 1024 * 1024;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function written(value: unknown): string {
  const pieces = [...gradualJson(value, "\n")];
  for (const { length } of pieces) assert(length <= MOST_PIECE_BYTES, `${length} bytes`);
  return pieces.map((piece) => decoder.decode(piece)).join("");
}

const TEXTS = ["", "a", "ü", "漢", "😀", "\ud83d", "\ude00", '"', "\\", "\n", "\u0001", "\u2028"];

function randomValue(random: () => number, depth: number): unknown {
  const kind = random();
  if (kind < 0.3 || depth === 0) {
    const text = TEXTS[Math.floor(random() * TEXTS.length)] ?? "";
    return text.repeat(random() < 0.1 ? 300_000 : Math.floor(random() * 20)) + "x".repeat(Math.floor(random() * 3));
  }
  if (kind < 0.5) return [1, -0, 1.5, NaN, true, null, undefined][Math.floor(random() * 7)];
  const parts = Array.from({ length: Math.floor(random() * 6) }, () => randomValue(random, depth - 1));
  if (kind < 0.7) return parts;
  return Object.fromEntries(parts.map((part, index) => [index % 2 === 0 ? `key "${index}"` : "__proto__", part]));
}

Deno.test("a value is written in pieces as JSON.stringify writes it", () => {
  const random = randomFrom(7);
  let large = 0;
  for (let round = 0; round < 300; round++) {
    const value = [randomValue(random, 4), randomValue(random, 4)];
    if (isLarge(value)) large++;
    assert(written(value) === `${JSON.stringify(value)}\n`, `round ${round}`);
  }
  assert(large > 50, `${large} large values`);
});

Deno.test("a long string is written in pieces that split no character", () => {
  const text = `x${"😀".repeat(700_000)}`;
  assert(written({ text }) === `${JSON.stringify({ text })}\n`);
});

Deno.test("many small values are written in pieces, too, and few ones in one", () => {
  const many = Array.from({ length: 100_000 }, (_, index) => ({ index, text: "some words" }));
  const pieces = [...gradualJson(many)];
  assert(pieces.length > 5, `${pieces.length} pieces`);
  assertEquals(written(many), `${JSON.stringify(many)}\n`);
  assertEquals([isLarge(many), isLarge(many.slice(0, 100))], [true, false]);
});

Deno.test("a text in parts is written as the whole text", () => {
  const text = `"${"é".repeat(300_000)}`;
  const value = { url: new JoinedText(["data:", text, ""]), after: [new JoinedText([])] };
  assert(isLarge(value));
  assert(written(value) === `${JSON.stringify({ url: `data:${text}`, after: [""] })}\n`);
  assertEquals(written(new JoinedText(["a", "b"])), `"ab"\n`);
});

Deno.test("the JSON of a value is written as a text in pieces", () => {
  const value = {
    list: Array.from({ length: 30_000 }, (_, index) => ({ index, text: '"é😀' })),
    text: "\ud83d\n".repeat(200_000),
  };
  const call = { arguments: new JsonText(value) };
  assert(isLarge(call));
  assert(written(call) === `${JSON.stringify({ arguments: JSON.stringify(value) })}\n`);
  assertEquals(written(new JsonText([1])), '"[1]"\n');
});
