import { assertEquals } from "@std/assert";
import type { BackendEvent } from "../../../../src/inference/events.ts";
import { type GenerationRequest, PLAIN } from "../../../../src/inference/request.ts";
import { Generations } from "../../../../src/backend/llama/generations.ts";

const REQUEST: GenerationRequest = {
  ...PLAIN,
  messages: [{ role: "user", content: "hi" }],
  sampling: { temperature: 0, topP: 1, topK: 0 },
  maxTokens: 10,
  stop: [],
};

Deno.test("Generations takes the events of its own requests, and says that others are not its", async () => {
  let lastId = 6;
  const generations = new Generations({ send: () => {}, onBusy: () => {}, nextId: () => ++lastId });
  const events = generations.begin(REQUEST, new AbortController().signal);
  assertEquals(generations.deliver({ id: 7, t: "a" }), true);
  assertEquals(generations.deliver({ id: 8, t: "b" }), false);
  const done = { id: 7, done: "end", prompt: 1, completion: 1, cached: 0, ms: [1, 2, 3] } as const;
  assertEquals([generations.deliver(done), generations.deliver(done)], [true, false]);
  const seen: BackendEvent["type"][] = [];
  for (let next = await events.next(); !next.done; next = await events.next()) seen.push(next.value.type);
  assertEquals(seen, ["text", "done"]);
});
