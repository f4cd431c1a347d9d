/** Inputs that crashed once, and that the fuzzer itself sees a crash. */
import { assertEquals, assertMatch } from "@std/assert";
import { crash, fuzz } from "./main.ts";
import { TARGETS } from "./targets.ts";

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
