/** Where an answer ends because of its lines. */
import { assertEquals } from "@std/assert";
import type { GenerationEvent } from "@inferd/client";
import { type LineLimits, withinLines } from "../../../src/http/line_limits.ts";

const USAGE = { promptTokens: 5, completionTokens: 3 };
const TIMINGS = { queueMs: 1, promptMs: 2, generationMs: 3 };
const PROGRESS = { type: "progress", processedTokens: 5, usage: USAGE, timings: TIMINGS } as const;
const DONE = {
  type: "done",
  text: "whole",
  thinking: "",
  toolCalls: [],
  usage: USAGE,
  stopReason: "end_turn",
  backend: "b",
  toolChoiceUnsatisfied: false,
} as const;

/** Texts of a stream of pieces, one each 10 ms; whether the rest was left alone. */
async function limited(
  pieces: readonly string[],
  limits: LineLimits,
): Promise<{ readonly texts: string[]; readonly text: string; readonly reason: string; readonly left: number }> {
  let given = 0;
  async function* events(): AsyncGenerator<GenerationEvent> {
    for (const text of pieces) {
      given++;
      yield PROGRESS;
      yield { type: "text", text };
    }
    yield DONE;
  }
  const texts: string[] = [];
  for await (const event of withinLines(events(), limits, () => given * 10)) {
    if (event.type === "text") texts.push(event.text);
    if (event.type === "done") {
      return { texts, text: event.text, reason: event.stopReason, left: pieces.length - given };
    }
  }
  throw new Error("No end");
}

Deno.test("lines: an answer ends with the first line that is complete after the time", async () => {
  const pieces = ["a\n", "b\n", "c", "\nd", "e\n"];
  assertEquals(await limited(pieces, { maxMs: 15 }), {
    texts: ["a\n", "b\n", "c", "\n"],
    text: "a\nb\nc\n",
    reason: "max_tokens",
    left: 1,
  });
  // A line that goes on is not broken off.
  assertEquals((await limited(["a", "b", "c"], { maxMs: 5 })).text, "whole");
  assertEquals((await limited(pieces, { maxMs: 1000 })).reason, "end_turn");
});

Deno.test("lines: an answer ends before the first line that is indented less, but never in its first line", async () => {
  const { text, texts, left } = await limited(["x = 1\n  y", "\n\t z\n", " }", "more"], { indent: 2 });
  assertEquals([text, texts, left], ["x = 1\n  y\n\t z\n ", ["x = 1\n  y", "\n\t z\n", " "], 1]);
  assertEquals((await limited(["}\n", "  a\n", "   b"], { indent: 2 })).text, "whole");
  assertEquals((await limited(["a\n", "\n  b"], { indent: 2 })).text, "a\n");
});

Deno.test("lines: an end tells the counts of the last progress, and the tokens whose text is whole", async () => {
  const token = (text: string) => ({ token: text, bytes: [], logprob: -1, top: [] });
  async function* events(): AsyncGenerator<GenerationEvent> {
    await Promise.resolve();
    yield PROGRESS;
    yield { type: "text", text: "a\nbc", logprobs: ["a", "\n", "bc"].map(token) };
  }
  const all = await Array.fromAsync(withinLines(events(), { indent: 1 }));
  const [, text, done] = all;
  assertEquals(text, { type: "text", text: "a\n", logprobs: ["a", "\n"].map(token) });
  assertEquals(done, {
    ...DONE,
    text: "a\n",
    logprobs: ["a", "\n"].map(token),
    timings: TIMINGS,
    stopReason: "max_tokens",
    backend: "",
  });
});
