import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { InvalidRequestError } from "../../../src/inference/errors.ts";
import { FrameTooLargeError } from "../../../src/pipeline/errors.ts";
import { type ByteSource, FrameReader, type ReadEnd, type ReadShared } from "../../../src/server/frame_reader.ts";
import { LargeLine } from "../../../src/server/json_line.ts";
import { Mailbox } from "../../support/mailbox.ts";
import { PaceUnderTest } from "../../support/paces.ts";
import { everyTurn } from "../../support/waiting.ts";

const encoder = new TextEncoder();

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

/** The value of a line that was parsed while it arrived. */
function valueOf(line: string | LargeLine | undefined): unknown {
  assertInstanceOf(line, LargeLine);
  return line.take();
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

Deno.test("a reader rests after blank lines and gives others their turn within a long line", async () => {
  using time = new FakeTime();
  const test = new ReaderUnderTest(10_000_000, 10_000_000);
  const line = test.reader.next();
  for (let reads = 0; reads < 3; reads++) test.source.put("\n\n\r\n");
  for (const reads of [1, 2, 3]) {
    await time.tickAsync(9);
    assertEquals(test.source.reads, reads);
    await time.tickAsync(1);
  }
  await time.tickAsync(10);
  // Without a turn in between all of these would be read in one go: 512 KiB are 8192 of them.
  for (let reads = 0; reads < 10_000; reads++) test.source.put("x".repeat(64));
  await time.runMicrotasks();
  const before = test.source.reads;
  assert(before < 8_300, `${before} reads`);
  test.source.put("\n");
  for (let turns = 0; turns < 20; turns++) await time.tickAsync(1);
  assertEquals(await line, "x".repeat(640_000));
  test.source.put(null);
});

Deno.test("a reader that is refused lets go at once, also while it waits for more", async () => {
  const held: number[] = [];
  const source = new ScriptedSource();
  const reader = new FrameReader(source, { maxBytes: 10_000, readAheadBytes: 100 }, {
    onDry: () => Promise.resolve(),
    onPause: () => {},
    onEnd: () => {},
  }, { account: { hold: (arriving, served) => held.push(arriving + served), room: () => undefined } });
  source.put("one\ntwo");
  assertEquals(await reader.next(), "one");
  const next = reader.next();
  assertEquals(held.at(-1), 3);
  reader.refuse();
  assertEquals(await next, undefined);
  assertInstanceOf(reader.violation, FrameTooLargeError);
  source.put(null);
  await reader.discard();
});

Deno.test("large lines of several connections that end at once are handed on one after the other, and others run between", async () => {
  const line = `"${"x".repeat(2 * 1024 * 1024)}"`;
  const seen: string[] = [];
  const tests = [0, 1, 2].map(() => new ReaderUnderTest(4 * line.length, 2 * line.length));
  const lines = tests.map(async ({ reader }) => {
    assertEquals(valueOf(await reader.next()), line.slice(1, -1));
    seen.push("line");
  });
  for (const { source } of tests) {
    for (let at = 0; at < line.length; at += 1024) source.put(line.slice(at, at + 1024));
    source.put("\n");
  }
  {
    using _others = everyTurn(() => seen.push("others"));
    await Promise.all(lines);
  }
  assertEquals(seen.filter((one, index) => one === "line" && seen[index - 1] === "line"), []);
  assertEquals(seen.filter((one) => one === "line").length, 3);
  for (const { source } of tests) source.put(null);
});

/** Read what comes in pieces that are cut anywhere. */
function reading(bytes: Uint8Array, shared: ReadShared = {}): FrameReader {
  let at = 0;
  let pieces = 0;
  const source: ByteSource = {
    read: (into) => {
      if (at === bytes.length) return Promise.resolve(null);
      const part = bytes.subarray(at, at + Math.min(into.length, ++pieces % 7 === 0 ? 4801 : 65_536));
      into.set(part);
      at += part.length;
      return Promise.resolve(part.length);
    },
  };
  return new FrameReader(source, { maxBytes: 8_000_000, readAheadBytes: 16_000_000 }, {
    onDry: () => Promise.resolve(),
    onPause: () => {},
    onEnd: () => {},
  }, shared);
}

Deno.test("a reader parses large lines while they arrive and gives them in their order, whatever is around them", async () => {
  const large = (text: string): string => JSON.stringify({ text: text.repeat(700_000), also: [1, null] });
  const lines = ["one", large('ü"'), "two", large("漢"), large("\\\n"), "three", large("a\u2028")];
  const blank = " ".repeat(1_500_000);
  const all = [...lines.slice(0, 3), blank, ...lines.slice(3, 5), "", "\t", ...lines.slice(5)].join("\n");
  for (const end of ["", "\n", "\n\n"]) {
    using reader = reading(encoder.encode(all + end));
    for (const line of lines) {
      const found = await reader.next();
      if (line.length < 10) assertEquals(found, line);
      else assertEquals(JSON.stringify(valueOf(found)) === line, true);
    }
    assertEquals([await reader.next(), reader.violation], [undefined, undefined]);
  }
});

Deno.test("a large line that is no JSON, or has too many values, is given as one that is refused", async () => {
  const filler = "x".repeat(2_000_000);
  for (
    const [line, message] of [
      [`{"a":"${filler}"`, "The line is not valid JSON"],
      [`{"a":"${filler}",}`, "The line is not valid JSON"],
      [`x${filler}`, "The line is not valid JSON"],
      [`{"a":"${filler}\u0001"}`, "The line is not valid JSON"],
      [`{"a":"${filler}"} {}`, "The line is not valid JSON"],
      [`["${filler}"${",1".repeat(300_000)}]`, "The line holds more than 262144 JSON values"],
    ] as const
  ) {
    using reader = reading(encoder.encode(`${line}\n`));
    const found = await reader.next();
    if (found === undefined) assertEquals(reader.violation?.message, message);
    else assertThrows(() => valueOf(found), InvalidRequestError, message);
  }
});

Deno.test("a large line that is too long, or not UTF-8, ends the lines", async () => {
  for (const wrong of [0xff, 0xe6]) {
    const bytes = encoder.encode(`one\n"${"x".repeat(3_000_000)}?"\n`);
    bytes[bytes.length - 3] = wrong;
    using reader = reading(bytes);
    assertEquals([await reader.next(), await reader.next()], ["one", undefined]);
    assertEquals(reader.violation?.message, "The line is not valid UTF-8");
  }
  using reader = reading(encoder.encode(`one\n"${"x".repeat(9_000_000)}"\n`));
  assertEquals([await reader.next(), await reader.next()], ["one", undefined]);
  assertInstanceOf(reader.violation, FrameTooLargeError);
});

Deno.test("a reader pauses within a large line while requests run, and not otherwise", async () => {
  const line = JSON.stringify({ text: "river ".repeat(1_000_000) });
  const test = new PaceUnderTest();
  for (const [running, least] of [[1, 5], [0, 0]] as const) {
    test.running = running;
    test.pauses.length = 0;
    using reader = reading(encoder.encode(`${line}\n`), { pace: test.pace });
    assert(JSON.stringify(valueOf(await reader.next())) === line);
    assert(running === 0 ? test.pauses.length === 0 : test.pauses.length >= least, `${test.pauses}`);
  }
});
