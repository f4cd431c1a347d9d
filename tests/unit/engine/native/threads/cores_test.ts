import { assert, assertEquals } from "@std/assert";
import { physicalCores, usableCores } from "../../../../../src/engine/native/threads/cores.ts";

Deno.test("usableCores is at least one and not more than the machine has", () => {
  assert(usableCores() >= 1 && usableCores() <= navigator.hardwareConcurrency);
});

Deno.test("physicalCores counts hyper-threads of a core once, and cores that are off not at all", () => {
  const cpu = "/sys/devices/system/cpu";
  const machine = (online: string, siblings: Readonly<Record<number, string>>) => (path: string): string | undefined =>
    path === `${cpu}/online`
      ? online
      : Object.entries(siblings).find(([n]) => path === `${cpu}/cpu${n}/topology/thread_siblings_list`)?.[1];
  assertEquals(physicalCores(machine("0-3\n", { 0: "0,2\n", 1: "1,3\n", 2: "0,2\n", 3: "1,3\n" })), 2);
  assertEquals(physicalCores(machine("0-1,4\n", { 0: "0\n", 1: "1\n", 2: "2\n", 4: "4\n" })), 3);
  assertEquals(physicalCores(machine("0", { 0: "0" })), 1);
  assertEquals(physicalCores(machine("0-1\n", { 0: "0\n" })), undefined);
  assertEquals(physicalCores(() => undefined), undefined);
});
