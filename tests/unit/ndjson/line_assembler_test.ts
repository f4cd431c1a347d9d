import { assert, assertEquals } from "@std/assert";
import { LineAssembler, splitLines } from "../../../src/ndjson/line_assembler.ts";
import { LINE_CASES } from "../../support/line_cases.ts";

const encoder = new TextEncoder();

/** Put bytes into an assembler as they would arrive, at most so many at a time. */
function feed(assembler: LineAssembler, data: string | Uint8Array, pieceBytes = Infinity): string {
  let bytes = typeof data === "string" ? encoder.encode(data) : data;
  let text = "";
  while (bytes.length > 0 && assembler.violation === undefined) {
    const space = assembler.space();
    const count = Math.min(space.length, bytes.length, pieceBytes);
    space.set(bytes.subarray(0, count));
    bytes = bytes.subarray(count);
    text += assembler.commit(count);
  }
  return text;
}

Deno.test("an assembler hands on whole lines only and keeps what follows", () => {
  const assembler = new LineAssembler(100);
  assertEquals(feed(assembler, "one\ntwo\nthr"), "one\ntwo\n");
  assertEquals(assembler.heldBytes, 3);
  assertEquals(feed(assembler, "ee\n"), "three\n");
  assertEquals(assembler.heldBytes, 0);
});

Deno.test("an assembler hands on the same however the bytes are cut", () => {
  const text = `{"a":"ü漢👩‍🚀"}\n\n${"x".repeat(5000)}\r\n${"漢".repeat(70_000)}\nlast`;
  for (const pieceBytes of [1, 2, 3, 7, 1023, 1024, 1025, 65_536, Infinity]) {
    const assembler = new LineAssembler(1_000_000);
    assertEquals(feed(assembler, text, pieceBytes) + assembler.finish(), text);
    assertEquals(assembler.violation, undefined);
  }
});

Deno.test("an assembler takes a line of the cap and refuses one byte more, whether or not a newline comes", () => {
  for (const pieceBytes of [1, 10, Infinity]) {
    const exact = new LineAssembler(2000);
    const line = `${"x".repeat(2000)}\n`;
    assertEquals(feed(exact, line, pieceBytes), line);
    for (const long of [`${"x".repeat(2001)}\n`, "x".repeat(2001)]) {
      const over = new LineAssembler(2000);
      assertEquals(feed(over, long, pieceBytes), "");
      assertEquals(over.violation, "too_large");
    }
  }
});

Deno.test("an assembler refuses a line over the cap in the middle of others and hands on those before it", () => {
  const assembler = new LineAssembler(5);
  assertEquals(feed(assembler, "one\n123456\ntwo\n"), "one\n");
  assertEquals(assembler.violation, "too_large");
});

Deno.test("an assembler refuses a last line over the cap that has no newline", () => {
  const assembler = new LineAssembler(5);
  assertEquals(feed(assembler, "one\n123456"), "one\n");
  assertEquals(assembler.finish(), "");
  assertEquals(assembler.violation, "too_large");
});

Deno.test("an assembler holds no more than the cap and one buffer of an endless line, and nothing after it", () => {
  const assembler = new LineAssembler(1_000_000);
  const piece = new Uint8Array(10_000).fill(0x78);
  let most = 0;
  for (let index = 0; index < 1000 && assembler.violation === undefined; index++) {
    feed(assembler, piece);
    most = Math.max(most, assembler.heldBytes);
  }
  assertEquals(assembler.violation, "too_large");
  assert(most <= 1_000_000 + 65_536, `held ${most}`);
  assertEquals(assembler.heldBytes, 0);
});

Deno.test("an assembler takes a long line byte by byte: each byte costs the same", () => {
  // Quadratic work would not end within anybody's patience: 2^43 byte moves.
  const assembler = new LineAssembler(4 * 1024 * 1024);
  const bytes = new Uint8Array(4 * 1024 * 1024).fill(0x78);
  assertEquals(feed(assembler, bytes, 1), "");
  assertEquals(feed(assembler, "\n").length, bytes.length + 1);
});

Deno.test("an assembler's small buffer is back once a long line has gone", () => {
  const assembler = new LineAssembler(1_000_000);
  feed(assembler, `${"x".repeat(500_000)}\n`);
  assertEquals(assembler.space().length, 1024);
});

Deno.test("an assembler hands on the good lines before one that is not UTF-8", () => {
  const bad: number[][] = [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xe6, 0xbc], [0xc0, 0x80], [
    0xf5,
    0x80,
    0x80,
    0x80,
  ]];
  for (const bytes of bad) {
    for (const before of ["", "good\n", `${"漢".repeat(1000)}\nü\n`]) {
      const assembler = new LineAssembler(1_000_000);
      const data = new Uint8Array([...encoder.encode(before), 0x22, ...bytes, 0x22, 0x0a, 0x78, 0x0a]);
      assertEquals(feed(assembler, data), before);
      assertEquals(assembler.violation, "not_utf8");
    }
  }
});

Deno.test("an assembler keeps a byte order mark, which is no part of JSON", () => {
  const assembler = new LineAssembler(100);
  assertEquals(feed(assembler, "\ufeff{}\n\ufeff{}\n"), "\ufeff{}\n\ufeff{}\n");
});

Deno.test("an assembler looks at what follows a newline under the cap that is set meanwhile", () => {
  const assembler = new LineAssembler(10);
  assertEquals(feed(assembler, `key\n${"x".repeat(500)}`), "key\n");
  assembler.maxBytes = 1000;
  assertEquals(feed(assembler, "\n"), `${"x".repeat(500)}\n`);
});

for (const { name, bytes, lines, violation } of LINE_CASES) {
  Deno.test(`an assembler reads ${name}`, () => {
    for (const pieceBytes of [1, 2, 3, Infinity]) {
      const assembler = new LineAssembler(1000, 4);
      const text = feed(assembler, bytes, pieceBytes) + (violation === undefined ? assembler.finish() : "");
      assertEquals(text.split("\n").filter((line) => line.trim() !== ""), lines);
      assertEquals(assembler.violation, violation);
    }
  });
}

Deno.test("an assembler takes bytes that are pushed as those that are committed, and counts lines", () => {
  const assembler = new LineAssembler(Infinity, 4);
  assertEquals(splitLines(assembler.push(encoder.encode("one\n\ntwo longer than its buffer\nthr"))), [
    "one",
    "",
    "two longer than its buffer",
  ]);
  assertEquals([assembler.lines, assembler.heldBytes], [3, 3]);
  assertEquals(splitLines(assembler.push(encoder.encode("ee\n\xff"))), ["three"]);
  assertEquals(splitLines(assembler.push(Uint8Array.of(0x61, 0x0a, 0xff, 0x0a, 0x62, 0x0a))), ["\xffa"]);
  assertEquals([assembler.lines, assembler.violation], [5, "not_utf8"]);
});

Deno.test("an assembler hands on the same when the beginning of a line is taken ahead", () => {
  const line = `${"漢".repeat(3_000_000)}\n`;
  for (const after of ["", "next", "next\nand\nmore\n"]) {
    for (const times of [1, 1000]) {
      const assembler = new LineAssembler(10_000_000);
      assertEquals(feed(assembler, line.slice(0, -2)), "");
      let text = "";
      for (let time = 0; time < times; time++) text += assembler.takeAhead() ?? "";
      assertEquals(text.length > 0, true);
      const before = assembler.heldBytes;
      assertEquals(before, 3 * (3_000_000 - 1));
      text += feed(assembler, `漢\n${after}`) + assembler.finish();
      assertEquals(text === line + after, true);
      assertEquals(assembler.lines, after.split("\n").filter((one) => one !== "").length + 1);
    }
  }
});

Deno.test("an assembler refuses a line that is not UTF-8 when it has handed out its beginning, and hands on those before it", () => {
  const long = "x".repeat(300_000);
  const bad = new Uint8Array([0xff]);
  const first = new LineAssembler(1_000_000);
  feed(first, new Uint8Array([...bad, ...encoder.encode(long)]));
  first.takeAhead();
  assertEquals([first.violation, first.heldBytes], ["not_utf8", 0]);

  const atItsEnd = new LineAssembler(1_000_000);
  feed(atItsEnd, long);
  const taken = atItsEnd.takeAhead();
  assertEquals(taken?.startsWith("xxx"), true);
  assertEquals(feed(atItsEnd, new Uint8Array([...bad, 0x0a, 0x61, 0x0a])), "");
  assertEquals([atItsEnd.violation, atItsEnd.lines], ["not_utf8", 0]);

  const later = new LineAssembler(1_000_000);
  feed(later, long);
  const beginning = later.takeAhead();
  assertEquals(beginning + feed(later, new Uint8Array([0x0a, 0x61, 0x0a, ...bad, 0x0a])) === `${long}\na\n`, true);
  assertEquals([later.violation, later.lines], ["not_utf8", 2]);
});
