import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { EventQueue } from "../../../../src/backend/llama/event_queue.ts";

function recorded(most = 2): { queue: EventQueue<number>; told: string[] } {
  const told: string[] = [];
  const queue = new EventQueue<number>({
    most,
    onFull: () => told.push("full"),
    onDrained: () => told.push("drained"),
    onLeft: () => told.push("left"),
  });
  return { queue, told };
}

Deno.test("EventQueue delivers in order when events come before and after they are asked for", async () => {
  const { queue } = recorded();
  queue.push(1);
  assertEquals(await queue.next(), { value: 1, done: false });
  const waiting = queue.next();
  queue.push(2);
  queue.push(3);
  queue.end();
  assertEquals(await waiting, { value: 2, done: false });
  assertEquals(await queue.next(), { value: 3, done: false });
  assertEquals(await queue.next(), { value: undefined, done: true });
});

Deno.test("EventQueue tells full once and drained once when more than the most are untaken", async () => {
  const { queue, told } = recorded(2);
  queue.push(1);
  queue.push(2);
  assertEquals(told, []);
  queue.push(3);
  queue.push(4);
  assertEquals(told, ["full"]);
  for (let taken = 0; taken < 3; taken++) await queue.next();
  assertEquals(told, ["full"]);
  await queue.next();
  assertEquals(told, ["full", "drained"]);
});

Deno.test("EventQueue tells no drained when the producer has ended", async () => {
  const { queue, told } = recorded(0);
  queue.push(1);
  queue.end();
  await queue.next();
  assertEquals(told, ["full"]);
});

Deno.test("EventQueue throws once after what is queued when the producer fails", async () => {
  const { queue } = recorded();
  const failure = new Error("died");
  queue.push(1);
  queue.fail(failure);
  queue.push(2);
  assertEquals((await queue.next()).value, 1);
  assertStrictEquals(await assertRejects(() => queue.next()), failure);
  assertEquals(await queue.next(), { value: undefined, done: true });
});

Deno.test("EventQueue drops what is queued when it is aborted", async () => {
  const { queue } = recorded();
  const reason = new Error("aborted");
  queue.push(1);
  queue.abort(reason);
  assertStrictEquals(await assertRejects(() => queue.next()), reason);
});

Deno.test("EventQueue drops what is queued when it is aborted after its end", async () => {
  const { queue } = recorded();
  const reason = new Error("aborted");
  queue.push(1);
  queue.end();
  queue.abort(reason);
  assertStrictEquals(await assertRejects(() => queue.next()), reason);
});

Deno.test("EventQueue wakes a waiting consumer when it fails", async () => {
  const { queue } = recorded();
  const waiting = queue.next();
  const failure = new Error("died");
  queue.fail(failure);
  assertStrictEquals(await assertRejects(() => waiting), failure);
});

Deno.test("EventQueue tells left when the consumer returns before the end, and only then", async () => {
  const early = recorded();
  early.queue.push(1);
  await early.queue.return();
  assertEquals(early.told, ["left"]);
  assertEquals(await early.queue.next(), { value: undefined, done: true });

  const late = recorded();
  late.queue.end();
  await late.queue.return();
  assertEquals(late.told, []);
});

Deno.test("EventQueue serves overlapping calls in order when there are any", async () => {
  const { queue } = recorded();
  const calls = [queue.next(), queue.next(), queue.next()];
  queue.push(1);
  queue.push(2);
  queue.end();
  assertEquals(await Promise.all(calls), [
    { value: 1, done: false },
    { value: 2, done: false },
    { value: undefined, done: true },
  ]);
});
