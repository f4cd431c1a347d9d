import { assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "@inferd/client";
import { LineBuffer } from "../../client/wire/connection.ts";
import { LINE_CASES } from "../support/line_cases.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function lines(buffer: LineBuffer): string[] {
  const all: string[] = [];
  for (let line = buffer.take(); line !== undefined; line = buffer.take()) all.push(line);
  return all;
}

Deno.test("a line buffer gives the same lines for every way to cut the bytes in two or in pieces", () => {
  const text = 'a\n{"ü":"東🦊"}\n\n  \nlast one\n';
  const bytes = encode(text);
  const expected = ["a", '{"ü":"東🦊"}', "last one"];
  for (let cut = 0; cut <= bytes.length; cut++) {
    const buffer = new LineBuffer();
    buffer.push(bytes.subarray(0, cut));
    const first = lines(buffer);
    buffer.push(bytes.subarray(cut));
    assertEquals([...first, ...lines(buffer)], expected, `cut at ${cut}`);
    assertEquals(buffer.empty, true);
  }
  for (let size = 1; size < bytes.length; size++) {
    const buffer = new LineBuffer();
    for (let at = 0; at < bytes.length; at += size) buffer.push(bytes.subarray(at, at + size));
    assertEquals(lines(buffer), expected, `pieces of ${size}`);
  }
});

Deno.test("a line buffer does not keep the memory it was given", () => {
  const buffer = new LineBuffer();
  const memory = encode("one\ntw");
  buffer.push(memory);
  memory.fill(0x78);
  buffer.push(encode("o\n"));
  assertEquals(lines(buffer), ["one", "two"]);
});

Deno.test("a line buffer is empty only when everything was taken", () => {
  const buffer = new LineBuffer();
  assertEquals(buffer.empty, true);
  buffer.push(encode("one\n"));
  assertEquals(buffer.empty, false);
  buffer.take();
  assertEquals(buffer.empty, true);
  buffer.push(encode("t"));
  assertEquals([buffer.empty, buffer.take()], [false, undefined]);
  buffer.end();
  assertEquals([buffer.take(), buffer.empty], ["t", true]);
});

Deno.test("a line buffer takes a line of exactly the limit and refuses a longer one, however it is cut", () => {
  for (const size of [1, 3, 7, 8]) {
    for (
      const [text, fits] of [["12345678\n1234\n", true], ["1234\n123456789\n", false], ["123456789", false]] as const
    ) {
      const buffer = new LineBuffer(8);
      const bytes = encode(text);
      const push = (): void => {
        for (let at = 0; at < bytes.length; at += size) buffer.push(bytes.subarray(at, at + size));
      };
      if (fits) push();
      else assertThrows(push, ProtocolError, "more than 8 bytes");
    }
  }
});

Deno.test("a line buffer refuses what is not UTF-8", () => {
  assertThrows(() => new LineBuffer().push(Uint8Array.of(0xc3, 0x0a)), ProtocolError, "not UTF-8");
});

for (const { name, bytes, lines: expected, violation } of LINE_CASES) {
  Deno.test(`the client reads as the daemon does: ${name}`, () => {
    for (const pieceBytes of [1, 2, 3, bytes.length]) {
      const buffer = new LineBuffer();
      const taken: string[] = [];
      const read = (): void => {
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          buffer.push(bytes.subarray(at, at + pieceBytes));
          taken.push(...lines(buffer));
        }
        buffer.end();
        taken.push(...lines(buffer));
      };
      if (violation !== undefined) assertThrows(read, ProtocolError, "not UTF-8");
      else {
        read();
        assertEquals(taken, expected);
      }
    }
  });
}
