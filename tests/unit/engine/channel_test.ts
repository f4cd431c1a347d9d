import { assertEquals, assertThrows } from "@std/assert";
import { ChannelError, Inbox } from "../../../src/engine/channel.ts";

const encoder = new TextEncoder();

/** Reads that return these pieces, then the end. */
function inboxOf(...pieces: (string | Uint8Array)[]): { inbox: Inbox; reads: () => number } {
  const left = pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : piece);
  let reads = 0;
  const inbox = new Inbox({
    readable: () => left.length > 0,
    readSync: (buffer) => {
      reads++;
      const piece = left.shift();
      if (piece === undefined) return null;
      buffer.set(piece);
      return piece.length;
    },
  });
  return { inbox, reads: () => reads };
}

Deno.test("Inbox takes every message that has come", () => {
  const { inbox } = inboxOf('{"op":"cancel","id":1}\n{"op":"pause","id":2}\n', '{"op":"resume","id":3}\n');
  assertEquals(inbox.take().map((message) => message.op), ["cancel", "pause", "resume"]);
  assertEquals([inbox.take(), inbox.ended], [[], false]);
});

Deno.test("Inbox reads nothing when nothing has come", () => {
  const { inbox, reads } = inboxOf();
  assertEquals([inbox.take(), reads()], [[], 0]);
});

Deno.test("Inbox puts a message together when it comes in pieces, also within a character", () => {
  const bytes = encoder.encode('{"op":"cancel","id":1,"x":"é😀"}\n');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { inbox } = inboxOf(bytes.slice(0, cut), bytes.slice(cut));
    assertEquals(inbox.wait() as unknown, [{ op: "cancel", id: 1, x: "é😀" }]);
  }
});

Deno.test("Inbox waits for a whole message and says when there will be none", () => {
  const { inbox } = inboxOf('{"op":', '"cancel","id":1}\n');
  assertEquals(inbox.wait().length, 1);
  assertEquals([inbox.wait(), inbox.ended], [[], true]);
});

Deno.test("Inbox leaves the rest for later when more has come than one turn may take", () => {
  const { inbox, reads } = inboxOf(...Array.from({ length: 40 }, () => '{"op":"cancel","id":1}\n'));
  assertEquals([inbox.take().length, reads()], [16, 16]);
});

Deno.test("Inbox throws when a line is no message", () => {
  for (const line of ["nonsense", "1", "null", "[]", '"op"', '{"op":"sing"}', "{}", ""]) {
    assertThrows(() => inboxOf(`${line}\n`).inbox.wait(), ChannelError, "engine's stdin");
  }
});
