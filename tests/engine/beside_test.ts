/** What a request that is costly to prepare, or to follow, leaves of a stream beside it; counted in tokens, not in time. */
import { assert, assertEquals } from "@std/assert";
import { type Ask, EngineChild } from "./engine_child.ts";

/** The neighbour's tokens by the time the other has said something. With nothing done in pieces it is one or two. */
const TOKENS = 10;

const SCHEMA = {
  type: "object",
  properties: Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`key_${i}`, { type: "array", items: { enum: [`a${i}`, `b${i}`, i] } }]),
  ),
  required: ["key_0"],
};

const COSTLY: Readonly<Record<string, Ask>> = {
  "a schema with hundreds of keys": { responseSchema: SCHEMA },
  "a vocabulary that is not indexed yet": { grammar: 'root ::= "yes" | "no"' },
};

for (const [name, ask] of Object.entries(COSTLY)) {
  Deno.test(`engine goes on with a stream while another request needs ${name}`, async () => {
    await using engine = await EngineChild.start({ contextTokens: 4096 });
    const stream = await engine.ask("Tell me a story.", { maxTokens: 4000, ignoreEos: true });
    await engine.untilEvents(stream, 5);
    const before = engine.eventsOf(stream).length;
    const other = await engine.ask("Hello.", { maxTokens: 5, ...ask });
    await engine.untilEvents(other, 1);
    const [first] = engine.eventsOf(other);
    assert(first !== undefined && !("error" in first), JSON.stringify(first));
    const tokens = engine.eventsOf(stream).length - before;
    assert(tokens >= TOKENS, `${tokens} tokens`);
  });
}

/** Each letter leads to many thousands of ways to read what came. */
const AMBIGUOUS = `root ::= ${
  Array.from({ length: 24 }, (_, i) => `[a-z ]* [${"abcdefghijkl"[i % 12]}-z ] [a-z ]{${1800 + i}}`).join(" | ")
}`;

Deno.test("engine refuses a grammar that it cannot follow, and goes on with the stream beside it", async () => {
  await using engine = await EngineChild.start();
  const stream = await engine.ask("Tell me a story.", { maxTokens: 4000, ignoreEos: true });
  await engine.untilEvents(stream, 5);
  const before = engine.eventsOf(stream).length;
  const { error } = await engine.answer("Hello.", { maxTokens: 400, grammar: AMBIGUOUS });
  assertEquals(error?.error, "invalid_request");
  assertEquals(error?.message, "The grammar is too ambiguous to be followed");
  const tokens = engine.eventsOf(stream).length - before;
  assert(tokens >= TOKENS, `${tokens} tokens`);
});
