/** Inputs that crashed once, and that the fuzzer itself sees a crash. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { crash, fuzz } from "./main.ts";
import { type Target, TARGETS } from "./targets.ts";

const CORPUS = new URL("corpus/", import.meta.url);

for (const { name } of [...Deno.readDirSync(CORPUS)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  const target = TARGETS[name.split("-")[0] ?? ""];
  if (target === undefined) continue;
  Deno.test(`${name} of the fuzzer's corpus is read or refused`, async () => {
    assertEquals(await crash(target, await Deno.readTextFile(new URL(name, CORPUS))), undefined);
  });
}

for (const [name, target] of Object.entries(TARGETS)) {
  Deno.test(`${name} takes every input that the fuzzer begins with`, async () => {
    for (const seed of target.seeds) assertEquals(await crash({ ...target }, seed), undefined);
  });
}

Deno.test("fuzz tells an input that ends in an unexpected error", async () => {
  const { inputs, crashes } = await fuzz({
    seeds: ["a"],
    damage: (random) => String(random()),
    run: (): never => {
      throw new TypeError("unexpected");
    },
    refuses: [RangeError],
  }, { seconds: 0.01, seed: 1 });
  assertEquals(crashes.size, inputs);
  assertMatch([...crashes.values()][0] ?? "", /unexpected/);
});

Deno.test("fuzz tells an input that takes too long, unless that was the machine: it is read once more", async () => {
  const target = (waits: readonly number[]): Target => {
    const left = [...waits];
    return { seeds: [], damage: () => "", refuses: [], run: () => busy(left.shift() ?? 0) };
  };
  assertEquals(await crash(target([30, 0]), "", 20), undefined);
  assertMatch(await crash(target([30, 30]), "", 20) ?? "", /^It took \d+ ms, twice$/);
});

function busy(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until;);
}

Deno.test("the tasks that run for minutes refuse flags that there are not, and explain those there are", async () => {
  for (const task of ["fuzz", "soak"]) {
    const run = async (...flags: readonly string[]): Promise<readonly [number, string]> => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", fromFileUrl(new URL(`../${task}/main.ts`, import.meta.url)), ...flags],
        signal: AbortSignal.timeout(60_000),
      }).output();
      return [code, new TextDecoder().decode(code === 0 ? stdout : stderr)];
    };
    const usage = `usage: deno task ${task} [--`;
    for (const wrong of ["--only", "config"]) {
      const [code, text] = await run(wrong);
      assertEquals([code, text.startsWith(`There is no "${wrong}"; ${usage}`)], [2, true], text);
    }
    const [code, text] = await run("--help");
    assertEquals([code, text.startsWith(usage)], [0, true], text);
  }
});
