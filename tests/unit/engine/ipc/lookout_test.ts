/** How often an engine that computes lets promises of other threads settle. */
import { assert, assertEquals } from "@std/assert";
import { Lookout } from "../../../../src/engine/ipc/lookout.ts";

Deno.test("An engine that computes spends a twentieth of its time on looking for other threads, an idle one waits for them", async () => {
  let ms = 0;
  let looked = 0;
  const lookout = new Lookout({
    now: () => ms,
    delay: (asked) => {
      looked++;
      // What a timer takes, even one without a delay.
      ms += 2 + asked;
      return { over: Promise.resolve(), [Symbol.dispose]: () => {} };
    },
  });
  const never = new Promise<void>(() => {});
  const steps = 1000;
  for (let step = 0; step < steps; step++) {
    ms += 1;
    await lookout.look(never, false);
  }
  assert(looked > 10, `${looked} times`);
  assert(ms < steps * 1.06, `${steps} steps of a millisecond took ${ms} ms`);
  const before = looked;
  for (let i = 0; i < 10; i++) await lookout.look(never, true);
  assertEquals(looked - before, 10);
});
