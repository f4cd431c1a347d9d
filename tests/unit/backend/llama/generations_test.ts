import type { LongText } from "@inferd/client/protocol";
import { assertEquals, assertRejects } from "@std/assert";
import { ToolCallMalformedError } from "../../../../src/inference/errors.ts";
import type { BackendEvent } from "../../../../src/inference/events.ts";
import { type GenerationRequest, PLAIN } from "../../../../src/inference/request.ts";
import type { ToEngine } from "../../../../src/engine/ipc/messages.ts";
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

Deno.test("Generations tells what was done ahead of the model, where anything was", async () => {
  const plain = { promptTokens: 9, completionTokens: 8, cachedTokens: 7 };
  for (
    const [counts, told] of [
      [{}, {}],
      [{ forced: 6, prepared: 5 }, { forcedTokens: 6, preparedTokens: 5 }],
      [{ drafted: 4, accepted: 0 }, { draftedTokens: 4, acceptedTokens: 0 }],
    ]
  ) {
    const generations = new Generations({ send: () => {}, onBusy: () => {}, nextId: () => 7 });
    const events = generations.begin(REQUEST, new AbortController().signal);
    generations.deliver({ id: 7, done: "end", prompt: 9, completion: 8, cached: 7, ...counts, ms: [1, 2, 3] });
    const { value } = await events.next();
    assertEquals(value?.type === "done" && value.usage, { ...plain, ...told });
  }
});

const UNIQUE: GenerationRequest = {
  ...REQUEST,
  tools: [{
    name: "tag",
    description: "",
    inputSchema: { type: "object", properties: { tags: { type: "array", uniqueItems: true } } },
  }],
};
const DONE = { id: 1, done: "tool_use", prompt: 1, completion: 1, cached: 0, ms: [0, 0, 0] } as const;

Deno.test("Generations hands on a call and what follows it when it was looked at and is valid", async () => {
  const generations = new Generations({ send: () => {}, onBusy: () => {}, nextId: () => 1 });
  const events = generations.begin(UNIQUE, new AbortController().signal);
  generations.deliver({ id: 1, t: "a" });
  generations.deliver({ id: 1, call: "tag", input: { tags: [1, 2] }, unchecked: true });
  generations.deliver({ id: 1, call: "tag", input: { tags: [] } });
  generations.deliver(DONE);
  const seen: string[] = [];
  for (let next = await events.next(); !next.done; next = await events.next()) {
    seen.push(next.value.type === "tool_use" ? JSON.stringify(next.value.input) : next.value.type);
  }
  assertEquals(seen, ["text", '{"tags":[1,2]}', '{"tags":[]}', "done"]);
});

Deno.test("Generations fails and cancels a request when a call that was not enforced is not valid", async () => {
  const sent: ToEngine<LongText>[] = [];
  const busy: boolean[] = [];
  const generations = new Generations({
    send: (message) => sent.push(message),
    onBusy: (isBusy) => busy.push(isBusy),
    nextId: () => 1,
  });
  const events = generations.begin(UNIQUE, new AbortController().signal);
  generations.deliver({ id: 1, call: "tag", input: { tags: [1, 1] }, unchecked: true });
  generations.deliver(DONE);
  await assertRejects(() => events.next(), ToolCallMalformedError, '"uniqueItems" is violated');
  assertEquals(sent.map(({ op }) => op), ["generate", "cancel"]);
  assertEquals(busy, [true, false]);
});

Deno.test("Generations forgets a call that is being looked at when its request is cancelled", async () => {
  const generations = new Generations({ send: () => {}, onBusy: () => {}, nextId: () => 1 });
  const controller = new AbortController();
  const events = generations.begin(UNIQUE, controller.signal);
  generations.deliver({ id: 1, call: "tag", input: { tags: [1, 1] }, unchecked: true });
  controller.abort(new Error("gone"));
  await assertRejects(() => events.next(), Error, "gone");
  assertEquals(generations.busy, false);
});
