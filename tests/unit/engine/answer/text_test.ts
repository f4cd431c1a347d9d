import { assertEquals } from "@std/assert";
import { Characters, Watch, wholeCharacters } from "../../../../src/engine/answer/text.ts";
import { controlText } from "../../../../src/engine/chat/dialect/control_text.ts";

const encoder = new TextEncoder();

/** What becomes of each piece. */
function read(pieces: readonly (string | Uint8Array)[]): string[] {
  const characters = new Characters();
  return pieces.map((piece) => typeof piece === "string" ? characters.pushText(piece) : characters.push(piece));
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

Deno.test("Characters gives a character once it is whole, at whatever byte its pieces are cut", () => {
  const text = "a😀日é!";
  const bytes = encoder.encode(text);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const given = read([bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)]);
      assertEquals(given.join(""), text);
      assertEquals(given.some((piece) => piece.includes("\ufffd")), false);
    }
  }
});

Deno.test("Characters takes text after half a character", () => {
  assertEquals(read([Uint8Array.of(0xc3), "a"]), ["", "\ufffda"]);
});

Deno.test("Characters keeps half a character back", () => {
  assertEquals(read(["a", Uint8Array.of(0xf0, 0x9f)]), ["a", ""]);
});

Deno.test("Characters keeps a byte order mark that the model wrote", () => {
  assertEquals(read([encoder.encode("\ufeffa")]), ["\ufeffa"]);
});

/** A watch whose kinds are its texts. */
function watch(...texts: readonly string[]): Watch<string> {
  return new Watch(texts.map((text) => [text, text]));
}

Deno.test("Watch finds nothing when there is nothing to look for", () => {
  for (const empty of [watch(), watch("")]) {
    assertEquals([empty.mayBegin("abc"), empty.find("abc"), empty.find("")], [false, undefined, undefined]);
  }
});

Deno.test("Watch finds a text, and what may be its beginning at the end", () => {
  assertEquals(watch("END").find("ab END cd"), { kind: "END", at: 3, end: 6 });
  assertEquals(watch("END").find("ab E EN"), { at: 5 });
  assertEquals(watch("END").find("ab E EN", true), undefined);
  assertEquals(watch("END").find("ab E"), { at: 3 });
  assertEquals(watch("aab").find("aaab"), { kind: "aab", at: 1, end: 4 });
  assertEquals(watch("</s>", "\\d", "]", "^").find("d-\\d"), { kind: "\\d", at: 2, end: 4 });
});

Deno.test("Watch finds what begins first, and of what begins together what stands first", () => {
  assertEquals(watch("cd", "b").find("abcd"), { kind: "b", at: 1, end: 2 });
  assertEquals(watch("bcd", "b").find("abcd"), { kind: "bcd", at: 1, end: 4 });
  assertEquals(watch("b", "bcd").find("abcd"), { kind: "b", at: 1, end: 2 });
  // What may still come of the first is waited for, unless nothing comes.
  assertEquals(watch("bcx", "bc", "c").find("abc"), { at: 1 });
  assertEquals(watch("bcx", "bc", "c").find("abc", true), { kind: "bc", at: 1, end: 3 });
  assertEquals(watch("bcx", "bc", "c").find("abcd"), { kind: "bc", at: 1, end: 3 });
});

Deno.test("Watch says where nothing can begin", () => {
  assertEquals([watch("<a", "b").mayBegin("xyz"), watch("<a", "b").mayBegin("x<")], [false, true]);
});

Deno.test("Watch finds a control token as a whole, and nothing in its name", () => {
  const token = controlText("<|end|>");
  assertEquals(watch("end").find(`a${token}b end`), { kind: "end", at: 12, end: 15 });
  assertEquals(watch("end", token).find(`a${token}b end`), { kind: token, at: 1, end: 10 });
  assertEquals(watch("end").find(`a${token.slice(0, -2)}`), { at: 1 });
});
