import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { EngineChild } from "./engine_child.ts";

/** An answer that only a limit or a cancel ends. */
const ENDLESS = { grammar: "root ::= [ab] root", maxTokens: 100_000 };
/** More tokens than all prompts begin with. */
const BEGINNING_TOKENS = 20;
const QUESTION = "What is 12 plus 7?";

Deno.test("engine obeys", async (t) => {
  await using engine = await EngineChild.start();

  await t.step("no event comes after a cancel when the answer is being decoded", async () => {
    const id = await engine.ask("Hello.", ENDLESS);
    await engine.untilEvents(id, 3);
    await engine.send({ op: "cancel", id });
    assertEquals((await engine.answer(QUESTION)).text, "12 + 7 = 19.");
    const events = engine.eventsOf(id).length;
    assertEquals((await engine.answer(QUESTION)).text, "12 + 7 = 19.");
    assertEquals(engine.eventsOf(id).length, events);
    assert(engine.eventsOf(id).every((event) => "t" in event));
  });

  await t.step("prompt is given up half-way when the request is cancelled", async () => {
    const neighbour = await engine.ask("Hello.", ENDLESS);
    await engine.untilEvents(neighbour, 1);
    const kept: (number | undefined)[] = [];
    // When the first of three prompts has its token, the second or the third is half-way, however fast this machine reads.
    // On a busy one the cancel may be read too late: then it is tried again.
    for (let attempt = 0; attempt < 20 && !kept.includes(undefined); attempt++) {
      const prompts = ["First", "Second", "Third"].map((which) =>
        `${which} of ${attempt}: ${"The river is quiet and the hill is high. ".repeat(60)}`
      );
      const ids: number[] = [];
      for (const prompt of prompts) ids.push(await engine.ask(prompt));
      const [first = 0, ...others] = ids;
      await engine.untilEvents(first, 1);
      for (const id of ids) await engine.send({ op: "cancel", id });
      for (const [at, id] of others.entries()) {
        const { done } = await engine.answer(prompts[at + 1] ?? "", { maxTokens: 1 });
        assert(done !== undefined);
        const halfWay = done.cached > BEGINNING_TOKENS && done.cached < done.prompt - 1;
        kept.push(halfWay ? undefined : done.cached);
        if (halfWay) assertEquals(engine.eventsOf(id), []);
      }
    }
    assert(kept.includes(undefined), `cached ${kept}`);
    // The neighbour was not disturbed.
    await engine.untilEvents(neighbour, engine.eventsOf(neighbour).length + 1);
    await engine.send({ op: "cancel", id: neighbour });
  });

  await t.step("neighbour gets tokens while a long prompt is decoded", async () => {
    const neighbour = await engine.ask("Hello.", ENDLESS);
    await engine.untilEvents(neighbour, 1);
    const id = await engine.ask("The owl found a bell under the old bridge. ".repeat(60), { maxTokens: 1 });
    const before = engine.eventsOf(neighbour).length;
    await engine.answerTo(id);
    // How many depends on how fast this machine reads: pieces are as large as leaves a token every 400 ms.
    assert(engine.eventsOf(neighbour).length > before);
    await engine.send({ op: "cancel", id: neighbour });
  });

  await t.step("nothing is decoded for a request when it is paused, and it goes on when it is resumed", async () => {
    const id = await engine.ask("Hello.", ENDLESS);
    await engine.untilEvents(id, 2);
    await engine.send({ op: "pause", id });
    await engine.answer(QUESTION);
    const events = engine.eventsOf(id).length;
    await engine.answer(QUESTION);
    assertEquals(engine.eventsOf(id).length, events);
    await engine.send({ op: "resume", id });
    await engine.untilEvents(id, events + 2);
    await engine.send({ op: "cancel", id });
  });

  await t.step("unknown requests are nothing to the engine when they are cancelled, paused or resumed", async () => {
    for (const op of ["cancel", "pause", "resume"] as const) await engine.send({ op, id: 12_345 });
    assertEquals((await engine.answer(QUESTION)).text, "12 + 7 = 19.");
  });
});

Deno.test("engine starts a waiting request when the one before it is cancelled", async () => {
  await using engine = await EngineChild.start({ parallel: 1 });
  const first = await engine.ask("Hello.", ENDLESS);
  await engine.untilEvents(first, 1);
  const second = await engine.ask(QUESTION);
  const third = await engine.ask(QUESTION);
  await engine.untilEvents(first, engine.eventsOf(first).length + 2);
  assertEquals(engine.eventsOf(second), []);
  await engine.send({ op: "cancel", id: third });
  await engine.send({ op: "cancel", id: first });
  assertEquals((await engine.answerTo(second)).text, "12 + 7 = 19.");
  await engine.answer(QUESTION);
  assertEquals(engine.eventsOf(third), []);
});

Deno.test(
  "engine goes on when it is told to end, for the daemon drains",
  { ignore: Deno.build.os === "windows" },
  async () => {
    await using engine = await EngineChild.start();
    const id = await engine.ask("Hello.", ENDLESS);
    await engine.untilEvents(id, 1);
    engine.signal("SIGTERM");
    await engine.send({ op: "cancel", id });
    assertEquals((await engine.answer(QUESTION)).text, "12 + 7 = 19.");
    engine.signal("SIGTERM");
    assertEquals((await engine.answer(QUESTION)).text, "12 + 7 = 19.");
  },
);

Deno.test("engine exits with 0 when stdin ends", async () => {
  for (const busy of [false, true]) {
    await using engine = await EngineChild.start();
    if (busy) await engine.untilEvents(await engine.ask("Hello.", ENDLESS), 1);
    await engine.closeInput();
    assertEquals((await engine.exit()).code, 0);
  }
});

Deno.test("engine exits with 0 when stdin ends before it was told anything", async () => {
  await using engine = EngineChild.spawn();
  await engine.closeInput();
  assertEquals((await engine.exit()).code, 0);
  assertEquals(engine.messages, [{ type: "started" }]);
});

const NONSENSE: readonly (readonly [string, string])[] = [
  ["no JSON", "not json\n"],
  ["no message", '{"op":"sing"}\n'],
  ["an array", "[]\n"],
  ["a request before the model", '{"op":"cancel","id":1}\n'],
];
for (const [what, line] of NONSENSE) {
  Deno.test(`engine says so and exits with 1 when the first line is ${what}`, async () => {
    await using engine = EngineChild.spawn();
    await engine.write(line);
    assertEquals((await engine.exit()).code, 1);
    const [first, fatal, ...others] = engine.messages;
    assert(first?.type === "started" && fatal?.type === "fatal");
    assertStringIncludes(fatal.message, "engine's stdin");
    assertEquals(others, []);
  });
}
