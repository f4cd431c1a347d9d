import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { InvalidRequestError } from "../../../src/inference/errors.ts";
import { FrameTooLargeError } from "../../../src/pipeline/errors.ts";
import { type ByteSource, FrameReader, LineAssembler, type ReadEnd } from "../../../src/server/framing.ts";
import { Mailbox } from "../../support/mailbox.ts";

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
      assertInstanceOf(over.violation, FrameTooLargeError);
    }
  }
});

Deno.test("an assembler refuses a line over the cap in the middle of others and hands on those before it", () => {
  const assembler = new LineAssembler(5);
  assertEquals(feed(assembler, "one\n123456\ntwo\n"), "one\n");
  assertInstanceOf(assembler.violation, FrameTooLargeError);
});

Deno.test("an assembler refuses a last line over the cap that has no newline", () => {
  const assembler = new LineAssembler(5);
  assertEquals(feed(assembler, "one\n123456"), "one\n");
  assertEquals(assembler.finish(), "");
  assertInstanceOf(assembler.violation, FrameTooLargeError);
});

Deno.test("an assembler holds no more than the cap and one buffer of an endless line, and nothing after it", () => {
  const assembler = new LineAssembler(1_000_000);
  const piece = new Uint8Array(10_000).fill(0x78);
  let most = 0;
  for (let index = 0; index < 1000 && assembler.violation === undefined; index++) {
    feed(assembler, piece);
    most = Math.max(most, assembler.heldBytes);
  }
  assertInstanceOf(assembler.violation, FrameTooLargeError);
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
      assertInstanceOf(assembler.violation, InvalidRequestError);
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

/** A source that gives what the test puts into it; `null` is the end. */
class ScriptedSource implements ByteSource {
  readonly #pieces = new Mailbox<{ readonly bytes: Uint8Array | null }>();
  reads = 0;

  put(data: string | null): void {
    this.#pieces.put({ bytes: data === null ? null : encoder.encode(data) });
  }

  async read(into: Uint8Array): Promise<number | null> {
    this.reads++;
    const { bytes } = await this.#pieces.take();
    if (bytes === null) return null;
    into.set(bytes);
    return bytes.length;
  }
}

class ReaderUnderTest {
  readonly source = new ScriptedSource();
  readonly ends: ReadEnd[] = [];
  readonly paused = new Mailbox<true>();
  dry = 0;
  readonly reader: FrameReader;

  constructor(readAheadBytes: number, maxBytes = 10_000) {
    this.reader = new FrameReader(this.source, { maxBytes, readAheadBytes }, {
      onDry: () => {
        this.dry++;
        return Promise.resolve();
      },
      onPause: () => this.paused.put(true),
      onEnd: (end) => this.ends.push(end),
    });
  }
}

Deno.test("a reader gives lines in order, skips blank ones and ends with the last line", async () => {
  const test = new ReaderUnderTest(100);
  test.source.put("one\n\n \r\ntw");
  test.source.put("o\nlast");
  test.source.put(null);
  const { reader } = test;
  assertEquals([await reader.next(), await reader.next(), await reader.next()], ["one", "two", "last"]);
  assertEquals([await reader.next(), reader.violation, test.ends], [undefined, undefined, ["eof"]]);
  assertEquals(await reader.next(), undefined);
});

Deno.test("a reader reads ahead of the line being served, notices the end, and stops where it may not go on", async () => {
  const test = new ReaderUnderTest(100);
  test.source.put("one\n");
  assertEquals(await test.reader.next(), "one");
  assertEquals(test.reader.blind, false);
  test.source.put(`${"x".repeat(60)}\n`);
  test.source.put("y".repeat(60));
  await test.paused.take();
  assertEquals(test.reader.blind, true);
  const { reads } = test.source;
  test.source.put("\n");
  test.source.put(null);
  await Promise.resolve();
  assertEquals([test.source.reads, test.ends], [reads, []]);
  assertEquals(await test.reader.next(), "x".repeat(60));
  assertEquals(await test.reader.next(), "y".repeat(60));
  assertEquals(await test.reader.next(), undefined);
  assertEquals(test.ends, ["eof"]);
});

Deno.test("a reader that may read nothing ahead reads only for who waits", async () => {
  const test = new ReaderUnderTest(0);
  await test.paused.take();
  assertEquals(test.source.reads, 0);
  test.source.put("key\n");
  test.source.put("two\n");
  assertEquals(await test.reader.next(), "key");
  await test.paused.take();
  assertEquals(test.source.reads, 1);
  test.reader.allow({ maxBytes: 10_000, readAheadBytes: 100 });
  assertEquals(await test.reader.next(), "two");
});

Deno.test("a reader says that it is dry only when every line was taken, blank ones too", async () => {
  const test = new ReaderUnderTest(100);
  test.source.put("one\n\ntwo\n\n");
  assertEquals(await test.reader.next(), "one");
  assertEquals(test.dry, 1);
  assertEquals(await test.reader.next(), "two");
  assertEquals(test.dry, 1);
  const next = test.reader.next();
  test.source.put("three\n");
  assertEquals([await next, test.dry], ["three", 2]);
  test.source.put(null);
  assertEquals(await test.reader.next(), undefined);
});

Deno.test("a reader gives the good lines, then the violation, and reads no further", async () => {
  const test = new ReaderUnderTest(10_000, 10);
  test.source.put(`one\ntwo\n${"x".repeat(20)}`);
  test.source.put("x");
  test.source.put("never read");
  assertEquals([await test.reader.next(), await test.reader.next()], ["one", "two"]);
  assertEquals(await test.reader.next(), undefined);
  assertInstanceOf(test.reader.violation, FrameTooLargeError);
  assertEquals([test.ends, test.source.reads], [["violation"], 2]);
});

Deno.test("a reader ends as broken when its source throws", async () => {
  const ends: ReadEnd[] = [];
  const source: ByteSource = { read: () => Promise.reject(new Deno.errors.ConnectionReset("reset")) };
  const reader = new FrameReader(source, { maxBytes: 10, readAheadBytes: 10 }, {
    onDry: () => Promise.resolve(),
    onPause: () => {},
    onEnd: (end) => ends.push(end),
  });
  assertEquals(await reader.next(), undefined);
  assertEquals(ends, ["broken"]);
});

Deno.test("a reader discards up to the end, also while it pauses and after a violation", async () => {
  const paused = new ReaderUnderTest(0);
  await paused.paused.take();
  for (const text of ["a\n", "b\n", null]) paused.source.put(text);
  await paused.reader.discard();
  const violated = new ReaderUnderTest(100, 10);
  for (const text of ["x".repeat(11), "more", "more\n", null]) violated.source.put(text);
  assertEquals(await violated.reader.next(), undefined);
  await violated.reader.discard();
  assertEquals([paused.source.reads, violated.source.reads], [3, 4]);
});
