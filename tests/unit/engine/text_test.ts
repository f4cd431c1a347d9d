import { assertEquals } from "@std/assert";
import { TextStream, wholeCharacters } from "../../../src/engine/text.ts";

const encoder = new TextEncoder();

/** What is sent for each piece, and at the end. */
function stream(stops: readonly string[], pieces: readonly (string | Uint8Array)[]): string[] {
  const text = new TextStream(stops);
  const sent: string[] = [];
  for (const piece of pieces) {
    sent.push(typeof piece === "string" ? text.pushText(piece) : text.push(piece));
    if (text.stopped !== undefined) return [...sent, `stopped by ${text.stopped}`];
  }
  return [...sent, text.end()];
}

Deno.test("wholeCharacters counts every byte when the last character is whole", () => {
  for (const text of ["", "a", "é", "日", "😀", "a😀b"]) {
    assertEquals(wholeCharacters(encoder.encode(text)), encoder.encode(text).length);
  }
});

Deno.test("wholeCharacters stops before the last character when it is cut", () => {
  for (const character of ["é", "日", "😀"]) {
    const bytes = encoder.encode(`ab${character}`);
    for (let length = 3; length < bytes.length; length++) assertEquals(wholeCharacters(bytes.slice(0, length)), 2);
  }
});

Deno.test("wholeCharacters counts bytes that can never become a character", () => {
  for (const bytes of [[0x80], [0x80, 0x80, 0x80, 0x80], [0xff], [0xf8, 0x80], [0x61, 0xc3, 0x28]]) {
    assertEquals(wholeCharacters(Uint8Array.from(bytes)), bytes.length);
  }
});

Deno.test("TextStream sends a character once it is whole, at whatever byte its pieces are cut", () => {
  const text = "a😀日é!";
  const bytes = encoder.encode(text);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const sent = stream([], [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)]);
      assertEquals(sent.join(""), text);
      assertEquals(sent.some((piece) => piece.includes("\ufffd")), false);
    }
  }
});

Deno.test("TextStream takes text after half a character", () => {
  assertEquals(stream([], [Uint8Array.of(0xc3), "a"]), ["", "\ufffda", ""]);
});

Deno.test("TextStream drops half a character when the answer ends", () => {
  assertEquals(stream([], ["a", Uint8Array.of(0xf0, 0x9f)]), ["a", "", ""]);
});

Deno.test("TextStream keeps a byte order mark that the model wrote", () => {
  assertEquals(stream([], [encoder.encode("\ufeffa")]), ["\ufeffa", ""]);
});

Deno.test("TextStream sends everything at once when there is no stop string", () => {
  assertEquals(stream([""], ["ab", "c"]), ["ab", "c", ""]);
});

Deno.test("TextStream ends before a stop string when it is in one piece", () => {
  assertEquals(stream(["END"], ["ab END cd"]), ["ab ", "stopped by END"]);
});

Deno.test("TextStream sends no part of a stop string, however its pieces are cut", () => {
  const text = "ab</s>cd";
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      const sent = stream(["</s>"], [text.slice(0, first), text.slice(first, second), text.slice(second)]);
      assertEquals(sent.at(-1), "stopped by </s>");
      assertEquals(sent.slice(0, -1).join(""), "ab");
    }
  }
});

Deno.test("TextStream sends what it held when no stop string came of it", () => {
  assertEquals(stream(["abc"], ["xab", "abd"]), ["x", "ababd", ""]);
  assertEquals(stream(["aab"], ["aa", "aab"]), ["", "aa", "stopped by aab"]);
});

Deno.test("TextStream sends what it held when the answer ends", () => {
  assertEquals(stream(["abc"], ["xab"]), ["x", "ab"]);
});

Deno.test("TextStream ends at the first of several stop strings", () => {
  assertEquals(stream(["cd", "b"], ["abcd"]), ["a", "stopped by b"]);
});
