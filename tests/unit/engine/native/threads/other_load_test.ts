import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { openOtherLoad, OtherLoad } from "../../../../../src/engine/native/threads/other_load.ts";

Deno.test("OtherLoad tells how many cores others used since it was last asked", () => {
  const world = { now: 0, own: 0, stat: "" };
  // user nice system idle iowait irq softirq steal guest guest_nice, in hundredths of a second
  const stat = (ticks: readonly number[]): string => `cpu  ${ticks.join(" ")}\ncpu0 1 1 1 1 1 1 1 1 0 0\n`;
  world.stat = stat([1000, 0, 500, 9000, 7, 0, 0, 0, 0, 0]);
  const load = new OtherLoad({ read: () => world.stat, ownMs: () => world.own, now: () => world.now });
  // Two seconds: 1.5 cores in use, of which this process has one.
  world.now += 2000;
  world.own += 2000;
  world.stat = stat([1150, 20, 600, 9100, 50, 10, 10, 10, 99, 99]);
  assertAlmostEquals(load.cores(), 0.5);
  world.now += 1000;
  assertEquals(load.cores(), 0);
});

Deno.test(
  "OtherLoad reads what the kernel counts, with a file opened before",
  { ignore: Deno.build.os !== "linux" },
  () => {
    const load = openOtherLoad(() => 0);
    assert(load !== undefined);
    const cores = load.cores();
    assert(cores >= 0 && Number.isFinite(cores), `${cores}`);
  },
);
