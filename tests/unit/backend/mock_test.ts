import { assertEquals, assertRejects } from "@std/assert";
import {
  type BackendEvent,
  type BackendNotice,
  BackendUnavailableError,
  type GenerationRequest,
} from "../../../src/backend/backend.ts";
import { MockBackend } from "../../../src/backend/mock.ts";
import type { MockScript } from "../../../src/config/options.ts";

const NEVER = new AbortController().signal;

function mock(script: MockScript): MockBackend {
  return new MockBackend({ kind: "mock", name: "m", script });
}

function request(maxTokens = 1000): GenerationRequest {
  return {
    messages: [{ role: "system", content: "be brief" }, { role: "user", content: " one two\nthree " }],
    sampling: { temperature: 1, topP: 1, topK: 0 },
    maxTokens,
    stop: [],
  };
}

function texts(events: BackendEvent[]): string[] {
  return events.flatMap((event) => event.type === "text" ? [event.text] : []);
}

Deno.test("a mock is ready once it has started, says what it can, and is stopped when disposed of", async () => {
  const backend = mock({});
  assertEquals([backend.state, backend.capabilities], ["loading", undefined]);
  const notices: BackendNotice[] = [];
  await backend.start((notice) => notices.push(notice), NEVER);
  assertEquals(backend.state, "ready");
  assertEquals(notices.map(({ type }) => type), ["ready"]);
  assertEquals(backend.capabilities?.model, "m");
  await backend[Symbol.asyncDispose]();
  assertEquals(backend.state, "stopped");
});

Deno.test("a mock answers its tokens, then done with words counted", async () => {
  const events = await Array.fromAsync(mock({ tokens: ["a", "b"] }).generate(request(), NEVER));
  assertEquals(events, [
    { type: "text", text: "a" },
    { type: "text", text: "b" },
    { type: "done", reason: "end", usage: { promptTokens: 5, completionTokens: 2, cachedTokens: 0 } },
  ]);
});

Deno.test("a mock answers so many numbered tokens when a count is given", async () => {
  const events = await Array.fromAsync(mock({ count: 100 }).generate(request(), NEVER));
  assertEquals(texts(events).join(""), Array.from({ length: 100 }, (_, index) => `${index} `).join(""));
});

Deno.test("a mock ends with length when max_tokens is less than its script", async () => {
  const events = await Array.fromAsync(mock({ count: 100 }).generate(request(2), NEVER));
  assertEquals(texts(events), ["0 ", "1 "]);
  const last = events.at(-1);
  assertEquals(last?.type === "done" ? last.reason : last?.type, "length");
});

Deno.test("a mock fails where its script says", async () => {
  const cases: [MockScript, number][] = [[{ failBefore: true }, 0], [{ failAt: 0 }, 0], [{ failAt: 2 }, 2]];
  for (const [script, after] of cases) {
    const seen: BackendEvent[] = [];
    await assertRejects(async () => {
      for await (const event of mock({ ...script, count: 5 }).generate(request(), NEVER)) seen.push(event);
    }, BackendUnavailableError);
    assertEquals(seen.length, after);
  }
});

Deno.test("a mock fails also after its last token", async () => {
  await assertRejects(
    () => Array.fromAsync(mock({ count: 2, failAt: 2 }).generate(request(), NEVER)),
    BackendUnavailableError,
  );
});

Deno.test("a mock that hangs says nothing more until it is cancelled", async () => {
  const controller = new AbortController();
  const events = mock({ count: 5, hangAt: 1 }).generate(request(), controller.signal);
  assertEquals((await events.next()).value, { type: "text", text: "0 " });
  const next = events.next();
  controller.abort(new TypeError("gone"));
  await assertRejects(() => next, TypeError, "gone");
});

Deno.test("a mock that waits between tokens is cancelled at once", async () => {
  for (const script of [{ firstDelayMs: 3_600_000 }, { delayMs: 3_600_000 }]) {
    const controller = new AbortController();
    const events = mock({ ...script, count: 2 }).generate(request(), controller.signal);
    if ("delayMs" in script) await events.next();
    const next = events.next();
    controller.abort(new TypeError("gone"));
    await assertRejects(() => next, TypeError, "gone");
  }
});

Deno.test("a mock that is cancelled between tokens says nothing more", async () => {
  const controller = new AbortController();
  const events = mock({ count: 5 }).generate(request(), controller.signal);
  await events.next();
  controller.abort(new TypeError("gone"));
  await assertRejects(() => events.next(), TypeError, "gone");
});

Deno.test("a mock that is never ready starts until its signal fires", async () => {
  const controller = new AbortController();
  const backend = mock({ neverReady: true });
  const started = backend.start(() => {}, controller.signal);
  controller.abort(new TypeError("too late"));
  await assertRejects(() => started, TypeError, "too late");
  assertEquals(backend.state, "loading");
});
