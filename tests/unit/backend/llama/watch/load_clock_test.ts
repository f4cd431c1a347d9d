import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { LoadClock } from "../../../../../src/backend/llama/watch/load_clock.ts";

/** A clock of 100 ms on a time that the test moves. */
function start(time: FakeTime): { readonly clock: LoadClock; readonly ended: () => boolean } {
  let ended = false;
  const clock = new LoadClock(100, () => ended = true, () => time.now);
  return { clock, ended: () => ended };
}

Deno.test("LoadClock ends after its time when nothing pauses it", () => {
  using time = new FakeTime();
  const { clock, ended } = start(time);
  time.tick(99);
  assertEquals(ended(), false);
  time.tick(1);
  assertEquals(ended(), true);
  clock[Symbol.dispose]();
});

Deno.test("LoadClock does not count the time for which anybody pauses it", () => {
  using time = new FakeTime();
  const { clock, ended } = start(time);
  time.tick(60);
  const [one, other] = [clock.pause(), clock.pause()];
  time.tick(1000);
  one[Symbol.dispose]();
  // A second time changes nothing.
  one[Symbol.dispose]();
  time.tick(1000);
  assertEquals(ended(), false);
  other[Symbol.dispose]();
  time.tick(39);
  assertEquals(ended(), false);
  time.tick(1);
  assertEquals(ended(), true);
  clock[Symbol.dispose]();
});

Deno.test("LoadClock never ends when it was disposed of, paused or not", () => {
  using time = new FakeTime();
  for (const paused of [false, true]) {
    const { clock, ended } = start(time);
    const pause = paused ? clock.pause() : undefined;
    clock[Symbol.dispose]();
    pause?.[Symbol.dispose]();
    time.tick(1000);
    assertEquals(ended(), false);
  }
});
