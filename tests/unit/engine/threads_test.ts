import { assert, assertEquals } from "@std/assert";
import { ThreadGovernor, usableCores } from "../../../src/engine/threads.ts";

/** Work for so many milliseconds, each step as long as `ms` says; returns the milliseconds spent with each count. */
function work(
  governor: ThreadGovernor,
  tokens: number,
  forMs: number,
  ms: (threads: number) => number,
): Map<number, number> {
  const spent = new Map<number, number>();
  for (let left = forMs; left > 0;) {
    const threads = governor.choose(tokens);
    const took = ms(threads);
    governor.learn(tokens, took);
    spent.set(threads, (spent.get(threads) ?? 0) + took);
    left -= took;
  }
  return spent;
}

Deno.test("usableCores is at least one and not more than the machine has", () => {
  assert(usableCores() >= 1 && usableCores() <= navigator.hardwareConcurrency);
});

Deno.test("ThreadGovernor comes to all threads when they are faster", () => {
  const governor = new ThreadGovernor(8, 1);
  work(governor, 1, 10_000, (threads) => 8 / threads);
  assertEquals(governor.choose(1), 8);
});

Deno.test("ThreadGovernor comes to one thread when more are slower", () => {
  const governor = new ThreadGovernor(8, 8);
  work(governor, 1, 10_000, (threads) => threads);
  assertEquals(governor.choose(1), 1);
});

Deno.test("ThreadGovernor stays in the middle when that is fastest", () => {
  const governor = new ThreadGovernor(6, 1);
  work(governor, 1, 10_000, (threads) => [0, 4, 2, 0, 1, 0, 3][threads] ?? 0);
  const spent = work(governor, 1, 10_000, (threads) => [0, 4, 2, 0, 1, 0, 3][threads] ?? 0);
  assert((spent.get(4) ?? 0) > 9000, `${[...spent]}`);
});

Deno.test("ThreadGovernor decides for large and small steps apart", () => {
  const governor = new ThreadGovernor(2, 1);
  work(governor, 1, 10_000, (threads) => threads);
  work(governor, 100, 10_000, (threads) => 10 / threads);
  assertEquals([governor.choose(1), governor.choose(100)], [1, 2]);
});

Deno.test("ThreadGovernor gives up threads at once when others begin to work, and takes them again when they rest", () => {
  const governor = new ThreadGovernor(2, 1);
  const calm = (threads: number): number => 4 / threads;
  const busy = (threads: number): number => threads === 1 ? 5 : 100;
  work(governor, 1, 5000, calm);
  assertEquals(governor.choose(1), 2);
  const spent = work(governor, 1, 5000, busy);
  assert((spent.get(2) ?? 0) < 1000, `${[...spent]}`);
  work(governor, 1, 70_000, calm);
  assertEquals(governor.choose(1), 2);
});

Deno.test("ThreadGovernor spends little on trials when a single one is terrible", () => {
  const governor = new ThreadGovernor(2, 1);
  const spent = work(governor, 1, 100_000, (threads) => threads === 1 ? 1 : 1000);
  assert((spent.get(2) ?? 0) <= 4000, `${[...spent]}`);
});

Deno.test("ThreadGovernor has no choice when there is one core", () => {
  const governor = new ThreadGovernor(1, 1);
  assertEquals([...work(governor, 1, 1000, () => 1).keys()], [1]);
});
