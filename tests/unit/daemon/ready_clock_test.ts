/** Only loading counts. */
import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { ReadyClock } from "../../../src/daemon/ready_clock.ts";

/** A clock with a limit of a second, and how often it was late. */
function withClock(
  backends: readonly string[],
  work: (time: FakeTime, clock: ReadyClock, late: () => number) => void,
): void {
  using time = new FakeTime();
  let late = 0;
  using clock = new ReadyClock({ limitMs: 1000, backends, onLate: () => late++, now: () => time.now });
  work(time, clock, () => late);
}

Deno.test("a clock is late once when a backend loads longer than it may", () =>
  withClock(["a", "b"], (time, clock, late) => {
    clock.done("b");
    time.tick(999);
    assertEquals(late(), 0);
    time.tick(1);
    assertEquals(late(), 1);
    time.tick(10_000);
    assertEquals(late(), 1);
  }));

Deno.test("a clock does not count what a backend does before it loads, however often", () =>
  withClock(["a"], (time, clock, late) => {
    time.tick(400);
    for (let round = 0; round < 3; round++) {
      clock.pause("a");
      clock.pause("a");
      time.tick(60_000);
      clock.resume("a");
      clock.resume("a");
      time.tick(100);
    }
    assertEquals(late(), 0);
    time.tick(299);
    assertEquals(late(), 0);
    time.tick(1);
    assertEquals(late(), 1);
  }));

Deno.test("a clock counts for each backend by itself", () =>
  withClock(["a", "b"], (time, clock, late) => {
    clock.pause("a");
    time.tick(900);
    clock.done("b");
    clock.resume("a");
    time.tick(900);
    clock.done("a");
    time.tick(10_000);
    assertEquals(late(), 0);
    clock.resume("a");
    clock.pause("nobody");
    time.tick(10_000);
    assertEquals(late(), 0);
  }));

Deno.test("a clock that was disposed of is never late", () =>
  withClock(["a"], (time, clock, late) => {
    clock[Symbol.dispose]();
    clock.resume("a");
    time.tick(10_000);
    assertEquals(late(), 0);
  }));
