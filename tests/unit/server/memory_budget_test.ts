import { assertEquals } from "@std/assert";
import { type Account, defaultBudgetBytes, FREE_BYTES, MemoryBudget } from "../../../src/server/memory_budget.ts";

const MIB = 1024 * 1024;

/** A budget, and which of its connections were refused. */
class BudgetUnderTest {
  readonly budget = new MemoryBudget(10 * MIB);
  readonly refused: string[] = [];

  open(caller: string, name = caller): Account {
    return this.budget.open(caller, () => this.refused.push(name));
  }
}

Deno.test("the largest connection of the caller that holds the most is refused when the budget is spent", () => {
  const test = new BudgetUnderTest();
  const [greedy, other, alone] = [test.open("greedy", "1"), test.open("greedy", "2"), test.open("modest")];
  greedy.hold(4 * MIB, 0);
  alone.hold(5 * MIB, 0);
  assertEquals(test.refused, []);
  other.hold(3 * MIB, 0);
  assertEquals(test.refused, ["1"]);
  assertEquals(test.budget.heldBytes, 8 * MIB - 2 * FREE_BYTES);
});

Deno.test("what is served is not refused: who holds more than a little waits until it is answered", async () => {
  const test = new BudgetUnderTest();
  const [served, next, small] = [test.open("served"), test.open("next"), test.open("small")];
  next.hold(2 * MIB, 0);
  served.hold(0, 9 * MIB);
  assertEquals(test.refused, []);
  small.hold(1000, 0);
  assertEquals([small.room(), next.room() === undefined], [undefined, false]);
  const room = next.room();
  served.hold(0, 0);
  await room;
  assertEquals([next.room(), test.refused], [undefined, []]);
});

Deno.test("what a connection held counts no more when it has ended", () => {
  const test = new BudgetUnderTest();
  const account = test.open("gone");
  account.hold(6 * MIB, 3 * MIB);
  account[Symbol.dispose]();
  assertEquals(test.budget.heldBytes, 0);
  account.hold(MIB, 0);
  assertEquals(test.budget.heldBytes, 0);
});

Deno.test("a daemon gets a quarter of its heap, and 256 MiB at least", () => {
  assertEquals(defaultBudgetBytes(4096 * MIB), 1024 * MIB);
  assertEquals(defaultBudgetBytes(512 * MIB), 256 * MIB);
});

Deno.test("a budget tells when nothing is held any more, after it was much", () => {
  let gone = 0;
  const budget = new MemoryBudget(1024 * MIB, () => gone++);
  const [one, other] = [budget.open("one", () => {}), budget.open("other", () => {})];
  one.hold(10 * MIB, 0);
  one.hold(0, 0);
  assertEquals(gone, 0);
  one.hold(60 * MIB, 0);
  other.hold(10 * MIB, 0);
  one.hold(0, 0);
  assertEquals(gone, 0);
  other[Symbol.dispose]();
  assertEquals(gone, 1);
  one.hold(MIB, 0);
  one.hold(0, 0);
  assertEquals(gone, 1);
});
