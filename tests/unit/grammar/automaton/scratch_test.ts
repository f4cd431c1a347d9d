import { assertEquals } from "@std/assert";
import { Scratch } from "../../../../src/grammar/automaton/scratch.ts";

Deno.test("a scratch list has what was put into it since it was cleared, few or many, in order once it is sorted", () => {
  const list = new Scratch<number>();
  for (const count of [100, 0, 1, 20, 33, 5]) {
    list.clear();
    const items = Array.from({ length: count }, (_, i) => i * 7 % 31);
    for (const item of items) list.push(item);
    list.push(-1);
    assertEquals(list.pop(), -1);
    assertEquals(list.length, count);
    assertEquals(list.all(), items);
    list.sort((a, b) => a - b);
    const sorted = items.toSorted((a, b) => a - b);
    assertEquals(list.all(), sorted);
    assertEquals(list.equals(sorted), true);
    assertEquals(list.equals([...sorted, 1]), false);
    if (count > 0) assertEquals(list.equals([...sorted.slice(1), 99]), false);
  }
  list.clear();
  assertEquals(list.pop(), undefined);
});
