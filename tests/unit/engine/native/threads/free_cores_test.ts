import { assert, assertAlmostEquals, assertEquals, assertMatch } from "@std/assert";
import { kernelFiles } from "../../../../../src/engine/native/libc/kernel_files.ts";
import { FreeCores, openFreeCores } from "../../../../../src/engine/native/threads/free_cores.ts";

Deno.test("FreeCores tells how many cores others left since it was last asked", () => {
  const world = { now: 0, own: 0, stat: "" };
  // user nice system idle iowait irq softirq steal guest guest_nice, in hundredths of a second
  const stat = (ticks: readonly number[]): string => `cpu  ${ticks.join(" ")}\ncpu0 1 1 1 1 1 1 1 1 0 0\n`;
  world.stat = stat([1000, 0, 500, 9000, 7, 0, 0, 0, 0, 0]);
  const load = new FreeCores({ read: () => world.stat, ownMs: () => world.own, now: () => world.now });
  // Two seconds of four cores: others use 1.5 of them, this process one.
  world.now += 2000;
  world.own += 2000;
  world.stat = stat([1350, 20, 600, 9250, 57, 10, 10, 10, 99, 99]);
  assertAlmostEquals(load.cores(), 2.5);
  world.now += 1000;
  assertEquals(load.cores(), 0);
});

Deno.test("FreeCores reads what the kernel counts", { ignore: Deno.build.os !== "linux" }, () => {
  const load = openFreeCores(() => 0);
  assert(load !== undefined);
  const read = kernelFiles()?.open("/proc/stat");
  assertMatch(new TextDecoder().decode(read?.()), /^cpu +\d+ \d+ \d+ [1-9]/);
  const cores = load.cores();
  assert(cores >= 0 && Number.isFinite(cores), `${cores}`);
});
