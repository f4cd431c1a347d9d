import { assertEquals } from "@std/assert";
import { readText, WideChars } from "../../../../src/grammar/vocabulary/wide_chars.ts";
import { finish } from "../../../../src/work/work.ts";

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a decoder of the platform says, by trying all that could be at the end. */
function decoded(bytes: Uint8Array): { readonly text: string; readonly end: number } | undefined {
  const isText = (some: Uint8Array): boolean => {
    try {
      strict.decode(some);
      return true;
    } catch {
      return false;
    }
  };
  for (let end = bytes.length; end >= Math.max(0, bytes.length - 3); end--) {
    if (!isText(bytes.subarray(0, end))) continue;
    const rest = bytes.subarray(end);
    const fills = [[], ...[0x80, 0x90, 0xa0, 0xbf].flatMap((byte) => [[byte], [byte, byte], [byte, byte, byte]])];
    // Whole already, or only with what comes.
    const goesOn = rest.length === 0 || (rest[0] as number) >= 0x80 &&
        fills.some((fill) => isText(Uint8Array.from([...rest, ...fill])));
    return goesOn ? { text: strict.decode(bytes.subarray(0, end)), end } : undefined;
  }
  return undefined;
}

Deno.test("readText reads what a strict decoder reads, up to a character that lacks bytes", () => {
  const bytes = [0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xee, 0xef];
  bytes.push(0xf0, 0xf1, 0xf4, 0xf5, 0xff);
  const ends = [[], [0x80], [0xbf], [0x80, 0x80], [0xbf, 0xbf], [0x61]];
  for (const first of bytes) {
    for (const second of bytes) {
      for (const end of ends) {
        const piece = Uint8Array.from([first, second, ...end]);
        let text = "";
        const read = readText(piece, (char) => text += String.fromCodePoint(char));
        const expected = decoded(piece);
        assertEquals(read, expected?.end, piece.join());
        if (expected !== undefined) assertEquals(text, expected.text);
      }
    }
  }
});

Deno.test("WideChars tells whether some token needs characters", () => {
  const pieces = [...["aé", "日本", "😀", "\ud7ff"].map((text) => encoder.encode(text)), Uint8Array.of(0xe2, 0x80)];
  pieces.push(Uint8Array.of(0xff), Uint8Array.of(0x80));
  const wide = finish(WideChars.of(Int32Array.from(pieces.keys()), pieces));
  const tellsApart = (from: string, to = from): boolean =>
    wide.tellsApart(from.codePointAt(0) as number, to.codePointAt(0) as number);
  for (const char of ["é", "日", "本", "😀", "\ud7ff"]) assertEquals(tellsApart(char), true, char);
  for (const char of ["è", "α", "末", "\u2028", "\ue000"]) {
    assertEquals(tellsApart(char), false, char);
  }
  assertEquals(tellsApart("è", "ê"), true);
  // All that the last one can become, or not all of it.
  assertEquals(tellsApart("\u2000", "\u203f"), true);
  assertEquals(tellsApart("\u2001", "\u203f"), false);
  assertEquals(tellsApart("\u2000", "\u203e"), false);
});
