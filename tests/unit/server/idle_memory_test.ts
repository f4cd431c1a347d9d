import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { IdleMemory } from "../../../src/server/idle_memory.ts";

/** Counts how often memory is given back. */
class Counted extends IdleMemory {
  times = 0;

  override giveBack(): Promise<void> {
    this.times++;
    return Promise.resolve();
  }
}

Deno.test("IdleMemory gives memory back once nobody runs, and after a while also beside who does", async () => {
  using time = new FakeTime();
  let isBusy = true;
  using memory = new Counted({ text: false, idleMs: 100, isBusy: () => isBusy });
  memory.giveBackSoon();
  await time.tickAsync(1000);
  assertEquals(memory.times, 0);
  isBusy = false;
  await time.tickAsync(100);
  assertEquals(memory.times, 1);
  isBusy = true;
  memory.giveBackSoon();
  await time.tickAsync(2900);
  assertEquals(memory.times, 1);
  await time.tickAsync(100);
  assertEquals(memory.times, 2);
  await time.tickAsync(10_000);
  assertEquals(memory.times, 2);
});
