import { assertEquals, assertThrows } from "@std/assert";
import { ChannelError, HOLD_MS, Inbox, Outbox } from "../../../../src/engine/ipc/channel.ts";
import type { FromEngine } from "../../../../src/engine/ipc/messages.ts";

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
      const part = piece.subarray(0, buffer.length);
      if (part.length < piece.length) left.unshift(piece.subarray(part.length));
      buffer.set(part);
      return part.length;
    },
  });
  return { inbox, reads: () => reads };
}

Deno.test("Inbox takes every message that has come", () => {
  const { inbox } = inboxOf('{"op":"cancel","id":1}\n{"op":"pause","id":2}\n', '{"op":"resume","id":3}\n');
  assertEquals(inbox.take().map((message) => message.op), ["cancel", "pause", "resume"]);
  assertEquals([inbox.take(), inbox.ended], [[], false]);
});

Deno.test("Inbox takes large messages among others, however they are cut, and refuses what is no message", () => {
  const large = { op: "embed", id: 2, request: { input: ["ü\\".repeat(500_000), "漢".repeat(500_000)] } };
  const bytes = encoder.encode(`{"op":"cancel","id":1}\n${JSON.stringify(large)}\n{"op":"cancel","id":3}\n`);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 50_001) pieces.push(bytes.subarray(at, at + 50_001));
  const { inbox } = inboxOf(...pieces);
  const messages = [];
  for (let turn = 0; turn < 40; turn++) messages.push(...inbox.take());
  assertEquals(messages.map((message) => message.op), ["cancel", "embed", "cancel"]);
  assertEquals(JSON.stringify(messages[1]) === JSON.stringify(large), true);
  for (const end of ["}\n", "\n"]) {
    const broken = `{"op":"embed","id":${"1".repeat(2_000_000)}${end}`;
    const parts = broken.match(/[^]{1,60000}/g) ?? [];
    const refusing = inboxOf(...parts).inbox;
    assertThrows(
      () => {
        for (let turn = 0; turn < 40; turn++) refusing.take();
      },
      ChannelError,
      "is not JSON",
    );
  }
});

Deno.test("Inbox reads nothing when nothing has come", () => {
  const { inbox, reads } = inboxOf();
  assertEquals([inbox.take(), reads()], [[], 0]);
});

Deno.test("Inbox waits no longer than it is told to", () => {
  const waited: (number | undefined)[] = [];
  const inbox = new Inbox({
    readable: (ms) => waited.push(ms) > 1,
    readSync: (buffer) => encoder.encodeInto('{"op":"cancel","id":1}\n', buffer).written,
  });
  assertEquals(inbox.wait(25), []);
  assertEquals(inbox.wait(10), [{ op: "cancel", id: 1 }]);
  assertEquals(waited, [25, 10]);
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

/** An outbox, what it sent, and a clock to be set. */
function outboxAt(now: number): { outbox: Outbox; sent: FromEngine[]; clock: { now: number } } {
  const sent: FromEngine[] = [];
  const clock = { now };
  return { outbox: new Outbox({ send: (message) => sent.push(message), now: () => clock.now }), sent, clock };
}

Deno.test("Outbox sends the first and the last event of a request at once, and others with it", () => {
  const { outbox, sent } = outboxAt(0);
  outbox.add([{ id: 1, t: "a" }]);
  outbox.add([{ id: 1, t: "b" }]);
  assertEquals(sent, [{ type: "step", events: [{ id: 1, t: "a" }] }]);
  const done = { id: 2, error: "internal", message: "x" } as const;
  outbox.add([done]);
  assertEquals(sent[1], { type: "step", events: [{ id: 1, t: "b" }, done] });
});

/** When messages are sent, for one answer with steps of this many milliseconds. */
function sentAt(stepMs: number, steps: number): number[] {
  const { outbox, sent, clock } = outboxAt(0);
  return Array.from({ length: steps }, () => {
    const before = sent.length;
    outbox.add([{ id: 1, t: "a" }]);
    const at = clock.now;
    clock.now += stepMs;
    return sent.length > before ? [at] : [];
  }).flat();
}

Deno.test("Outbox holds events of quick steps while the next one is expected in time", () => {
  const few = HOLD_MS / 5;
  assertEquals(sentAt(few, 12), [0, 5 * few, 10 * few]);
  const two = HOLD_MS / 2 - 1;
  assertEquals(sentAt(two, 6), [0, 2 * two, 4 * two]);
  const one = HOLD_MS / 2 + 1;
  assertEquals(sentAt(one, 4), [0, one, 2 * one, 3 * one]);
});

Deno.test("Outbox sends what it holds during a step that takes longer than expected", () => {
  const { outbox, sent, clock } = outboxAt(0);
  outbox.add([{ id: 1, t: "a" }]);
  clock.now = 2;
  outbox.add([{ id: 1, t: "b" }]);
  clock.now = HOLD_MS;
  outbox.add([]);
  assertEquals(sent.length, 1);
  clock.now = HOLD_MS + 1;
  outbox.add([]);
  assertEquals(sent[1], { type: "step", events: [{ id: 1, t: "b" }] });
});

Deno.test("Outbox holds thoughts as it holds text, and no call", () => {
  const { outbox, sent } = outboxAt(0);
  outbox.add([{ id: 1, think: "a" }]);
  outbox.add([{ id: 1, think: "b" }]);
  outbox.add([{ id: 1, t: "c" }]);
  assertEquals(sent.length, 1);
  const call = { id: 1, call: "add", input: {} } as const;
  outbox.add([call]);
  assertEquals(sent[1], { type: "step", events: [{ id: 1, think: "b" }, { id: 1, t: "c" }, call] });
  outbox.add([{ id: 1, t: "d" }]);
  assertEquals(sent.length, 2);
});

Deno.test("Outbox sends what it holds when it is told to, and nothing when it holds nothing", () => {
  const { outbox, sent } = outboxAt(0);
  outbox.add([{ id: 1, t: "a" }]);
  outbox.add([{ id: 1, t: "b" }]);
  outbox.flush();
  outbox.flush();
  assertEquals(sent.length, 2);
});

Deno.test("Outbox sends nothing more of a request when it is cancelled", () => {
  const { outbox, sent } = outboxAt(0);
  outbox.add([{ id: 1, t: "a" }, { id: 2, t: "a" }]);
  outbox.add([{ id: 1, t: "b" }, { id: 2, t: "b" }]);
  outbox.forget(1);
  outbox.flush();
  assertEquals(sent[1], { type: "step", events: [{ id: 2, t: "b" }] });
});

Deno.test("Outbox says that the engine lives when it works a second without an event", () => {
  const { outbox, sent, clock } = outboxAt(0);
  clock.now = 999;
  outbox.add([]);
  assertEquals(sent, []);
  clock.now = 1000;
  outbox.add([]);
  outbox.add([]);
  assertEquals(sent, [{ type: "beat" }]);
});
