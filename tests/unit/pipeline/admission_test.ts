import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { Admission, type Permit, QueueFullError } from "../../../src/pipeline/admission.ts";

const NEVER = new AbortController().signal;

Deno.test("acquire gives a permit at once while places are free", async () => {
  const admission = new Admission({ active: 2, depth: 0 });
  using _one = await admission.acquire(NEVER);
  using _two = await admission.acquire(NEVER);
  assertEquals(admission.status(), { active: 2, waiting: 0, depth: 0 });
});

Deno.test("acquire rejects at once when as many wait as may", async () => {
  const admission = new Admission({ active: 1, depth: 1 });
  const held = await admission.acquire(NEVER);
  const waiting = admission.acquire(NEVER);
  const error = await assertRejects(() => admission.acquire(NEVER), QueueFullError);
  assertEquals(error.message, "The queue is full: 1 running, 1 waiting");
  held[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
});

Deno.test("permits go to those who wait in the order they came", async () => {
  const admission = new Admission({ active: 1, depth: 3 });
  const order: number[] = [];
  let held = await admission.acquire(NEVER);
  const waiting = [1, 2, 3].map((number) =>
    admission.acquire(NEVER).then((permit): Permit => {
      order.push(number);
      return permit;
    })
  );
  for (const next of waiting) {
    held[Symbol.dispose]();
    held = await next;
  }
  held[Symbol.dispose]();
  assertEquals(order, [1, 2, 3]);
  assertEquals(admission.status(), { active: 0, waiting: 0, depth: 3 });
});

Deno.test("a newcomer does not overtake when a permit is given back while others wait", async () => {
  const admission = new Admission({ active: 1, depth: 1 });
  const held = await admission.acquire(NEVER);
  const waiting = admission.acquire(NEVER);
  held[Symbol.dispose]();
  assertEquals(admission.status(), { active: 1, waiting: 0, depth: 1 });
  const newcomer = admission.acquire(NEVER);
  assertEquals(admission.status().waiting, 1);
  (await waiting)[Symbol.dispose]();
  (await newcomer)[Symbol.dispose]();
});

Deno.test("one who waits leaves at once and makes room when its signal fires", async () => {
  const admission = new Admission({ active: 1, depth: 1 });
  const held = await admission.acquire(NEVER);
  const controller = new AbortController();
  const leaving = admission.acquire(controller.signal);
  const reason = new Error("gone");
  controller.abort(reason);
  assertEquals(admission.status().waiting, 0);
  assertStrictEquals(await leaving.catch((error: unknown) => error), reason);
  const next = admission.acquire(NEVER);
  held[Symbol.dispose]();
  (await next)[Symbol.dispose]();
  assertEquals(admission.status().active, 0);
});

Deno.test("acquire rejects and takes no place when its signal has fired before", async () => {
  const admission = new Admission({ active: 1, depth: 0 });
  await assertRejects(() => admission.acquire(AbortSignal.abort(new TypeError("gone"))), TypeError);
  assertEquals(admission.status().active, 0);
});

Deno.test("a permit is given back once, however often it is disposed of", async () => {
  const admission = new Admission({ active: 2, depth: 0 });
  const one = await admission.acquire(NEVER);
  using _two = await admission.acquire(NEVER);
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  assertEquals(admission.status().active, 1);
});

Deno.test("a signal that fires after admission takes nothing away", async () => {
  const admission = new Admission({ active: 1, depth: 1 });
  const held = await admission.acquire(NEVER);
  const controller = new AbortController();
  const waiting = admission.acquire(controller.signal);
  held[Symbol.dispose]();
  const permit = await waiting;
  controller.abort();
  assertEquals(admission.status().active, 1);
  permit[Symbol.dispose]();
});

Deno.test("a place goes to the caller that runs the fewest, and round robin among equals", async () => {
  const admission = new Admission({ active: 2, depth: 10 });
  const order: string[] = [];
  const held: Permit[] = [await admission.acquire(NEVER, "greedy"), await admission.acquire(NEVER, "greedy")];
  const ask = (caller: string): Promise<void> =>
    admission.acquire(NEVER, caller).then((permit) => {
      order.push(caller);
      held.push(permit);
    });
  const waiting = ["greedy", "greedy", "greedy", "a", "b", "a"].map(ask);
  while (held.length > 0) {
    held.shift()?.[Symbol.dispose]();
    await Promise.resolve();
    await Promise.resolve();
  }
  await Promise.all(waiting);
  assertEquals(order, ["a", "greedy", "b", "a", "greedy", "greedy"]);
  assertEquals(admission.status(), { active: 0, waiting: 0, depth: 10 });
});

Deno.test("a caller finds room in a full queue when another has most of it, and the newest of that one is turned away", async () => {
  const admission = new Admission({ active: 1, depth: 3 });
  const held = await admission.acquire(NEVER, "greedy");
  const first = admission.acquire(NEVER, "greedy");
  const second = admission.acquire(NEVER, "greedy");
  const newest = assertRejects(() => admission.acquire(NEVER, "greedy"), QueueFullError);
  const victim = admission.acquire(NEVER, "victim");
  await newest;
  await assertRejects(() => admission.acquire(NEVER, "greedy"), QueueFullError);
  // With two and one of three places, nobody has more than a fair share.
  await assertRejects(() => admission.acquire(NEVER, "victim"), QueueFullError);
  held[Symbol.dispose]();
  (await first)[Symbol.dispose]();
  (await victim)[Symbol.dispose]();
  (await second)[Symbol.dispose]();
  assertEquals(admission.status(), { active: 0, waiting: 0, depth: 3 });
});
