import { assertEquals, assertThrows } from "@std/assert";
import type { ChatHistoryItem } from "node-llama-cpp";
import type { ChatMessage, ContentBlock } from "../../../src/backend/backend.ts";
import { AttachmentError, textsOf, toHistory } from "../../../src/engine/chat_history.ts";

const ASKED: ChatMessage = { role: "user", content: "Weather in Oslo and Rome?" };

function text(text: string): ContentBlock {
  return { type: "text", text };
}

function use(toolCallId: string, city: string): ContentBlock {
  return { type: "tool_use", toolCallId, name: "get_weather", input: { city } };
}

function result(toolCallId: string, ...texts: readonly string[]): ContentBlock {
  return { type: "tool_result", toolCallId, content: texts.map(text) };
}

function call(city: string, result: unknown, startsNewChunk: boolean): unknown {
  return { type: "functionCall", name: "get_weather", params: { city }, result, startsNewChunk };
}

/** What the first call's result becomes. */
function resultOf(...texts: readonly string[]): unknown {
  const [, turn] = toHistory([
    ASKED,
    { role: "assistant", content: [use("tc-1", "Oslo")] },
    { role: "user", content: [result("tc-1", ...texts)] },
  ]);
  const first = turn?.type === "model" ? turn.response[0] : undefined;
  return typeof first === "object" && first.type === "functionCall" ? first.result : undefined;
}

Deno.test("toHistory asks for an answer when the last turn is not the assistant's", () => {
  const asked: ChatHistoryItem = { type: "user", text: "Weather in Oslo and Rome?" };
  assertEquals(toHistory([{ role: "system", content: "Be kind." }, ASKED]), [
    { type: "system", text: "Be kind." },
    asked,
    { type: "model", response: [] },
  ]);
  assertEquals(toHistory([ASKED, { role: "assistant", content: "It" }]), [asked, { type: "model", response: ["It"] }]);
});

Deno.test("toHistory joins texts of a message, in an assistant's up to the next call", () => {
  const [user, model] = toHistory([
    { role: "user", content: [text("a"), text("b")] },
    { role: "assistant", content: [text("c"), text("d"), use("tc-1", "Oslo"), text("e")] },
  ]);
  assertEquals(user, { type: "user", text: "a\nb" });
  assertEquals(model?.type === "model" && model.response as unknown[], ["c\nd", call("Oslo", undefined, true), "e"]);
});

Deno.test("toHistory puts results with their calls, and what follows into the same turn", () => {
  const history = toHistory([
    ASKED,
    { role: "assistant", content: [text("I look."), use("tc-1", "Oslo"), use("tc-2", "Rome")] },
    { role: "user", content: [result("tc-2", "rainy"), result("tc-1", "sunny")] },
    { role: "assistant", content: [use("tc-3", "Bern")] },
    { role: "user", content: [result("tc-3", "foggy")] },
  ]);
  assertEquals(history as unknown[], [
    { type: "user", text: "Weather in Oslo and Rome?" },
    {
      type: "model",
      response: ["I look.", call("Oslo", "sunny", true), call("Rome", "rainy", false), call("Bern", "foggy", true)],
    },
  ]);
});

Deno.test("toHistory begins a new turn when the user says something beside a result", () => {
  const history = toHistory([
    ASKED,
    { role: "assistant", content: [use("tc-1", "Oslo")] },
    { role: "user", content: [result("tc-1", "sunny"), text("And Rome?")] },
    { role: "assistant", content: "I do not know." },
  ]);
  assertEquals(history.slice(1) as unknown[], [
    { type: "model", response: [call("Oslo", "sunny", true)] },
    { type: "user", text: "And Rome?" },
    { type: "model", response: ["I do not know."] },
  ]);
});

Deno.test("toHistory reads a result that is JSON, so that it is not written as JSON in a string", () => {
  assertEquals(resultOf('{"weather":"sunny","temperature":12}'), { weather: "sunny", temperature: 12 });
  assertEquals([resultOf("[1, 2]"), resultOf("12"), resultOf("true"), resultOf('"a"')], [[1, 2], 12, true, "a"]);
  assertEquals([resultOf("sunny"), resultOf("a", "b"), resultOf("{"), resultOf()], ["sunny", "a\nb", "{", ""]);
  // A number would lose its last digits.
  assertEquals(resultOf('{"id":12345678901234567}'), '{"id":12345678901234567}');
});

Deno.test("textsOf finds all that takes tokens, and refuses attachments at any depth", () => {
  assertEquals(textsOf({ role: "user", content: [text("a"), use("tc-1", "Oslo"), result("tc-1", "b", "c")] }), [
    "a",
    "get_weather",
    '{"city":"Oslo"}',
    "b",
    "c",
  ]);
  const attachment = { kind: "audio", mime: "audio/wav", base64: "" } as const;
  const nested: ContentBlock = { type: "tool_result", toolCallId: "tc-1", content: [{ type: "media", attachment }] };
  for (const content of [[{ type: "media", attachment } as const], [nested]]) {
    assertThrows(() => textsOf({ role: "user", content }), AttachmentError, "no audio");
  }
});
