import { assertEquals } from "@std/assert";
import plugin from "../../../packaging/lint_tests.ts";

/** What is wrong with a file of the checkout. */
function faults(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, `/checkout/${path}`, source).map(({ message }) => message);
}

Deno.test("a test that waits with a timer is refused, whatever the timer's name", () => {
  for (
    const [source, name] of [
      ["await new Promise((resolve) => setTimeout(resolve, 10));", "setTimeout"],
      ["globalThis.setInterval(look, 10);", "setInterval"],
      ["await new Promise(setImmediate);", "setImmediate"],
      ["setImmediate(next);", "setImmediate"],
      ["while (!ready) await delay(10);", "delay"],
      ["await sleep(10);", "sleep"],
      ["using time = new FakeTime(); time.tick(10);", undefined],
      ["let timer: ReturnType<typeof setTimeout> | undefined;", undefined],
      ['const program = "setTimeout(() => {}, 10)";', undefined],
    ] as const
  ) {
    const expected = name === undefined ? [] : [`A test must not wait with "${name}"`];
    assertEquals(faults("tests/daemon/some_test.ts", source), expected, source);
  }
});

Deno.test("timers are allowed in the helper, in a soak and in what is no test", () => {
  for (const path of ["tests/support/waiting.ts", "tests/soak/main.ts", "src/server/bindings.ts"]) {
    assertEquals(faults(path, "setTimeout(run, 10);"), [], path);
  }
});

Deno.test("a test that asserts nothing is refused, also where a helper with another name does it", () => {
  for (
    const [source, isRefused] of [
      ["Deno.test(name, async () => { await run(); });", true],
      ["Deno.test({ name, fn: () => checkAll() });", true],
      ["Deno.test(name, () => { assertEquals(run(), 1); });", false],
      ["Deno.test({ name, fn: () => assertAllRefused() });", false],
      ["Deno.test(name, () => { assertEquals<unknown>(run(), 1); });", false],
      ["run(name, () => {});", false],
    ] as const
  ) {
    assertEquals(faults("tests/daemon/some_test.ts", source), isRefused ? ["A test asserts nothing"] : [], source);
  }
});
