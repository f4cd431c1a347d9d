/** Anthropic's Messages API: `/v1/messages`. */
import type { Context } from "hono";
import type { GenerationEvent, GenerationResult } from "@inferd/client";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import { serverSentEvent, streamedEvents } from "../event_stream.ts";
import { packReasoning } from "../openai/responses/items.ts";
import { anthropicErrorBody } from "./error.ts";
import { type Body, body, isSingle, omitsThoughts, toRequest } from "./request.ts";

/** Fields common to all forms of an answer. */
interface Head {
  readonly id: string;
  readonly type: "message";
  readonly role: "assistant";
  readonly model: string;
  // Typed clients require fields that are never anything else here.
  readonly container: null;
  readonly diagnostics: null;
  readonly stop_details: null;
}

/** The same of a part of a usage that this server does not count. */
const NOT_COUNTED = { output_tokens_details: null, server_tool_use: null };
const USAGE = { ...NOT_COUNTED, cache_creation: null, inference_geo: null, service_tier: "standard", speed: null };

export async function messages(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body, { inPieces: "messages" });
  const model = await bridge.link.model(asked.model, "generate");
  const request = toRequest(asked);
  const head: Head = {
    id: `msg_${crypto.randomUUID().replaceAll("-", "")}`,
    type: "message",
    role: "assistant",
    model: asked.model,
    container: null,
    diagnostics: null,
    stop_details: null,
  };
  const { signal } = context.req.raw;
  const events = bridge.generate({ api: "anthropic", model, request, signal });
  if (asked.stream) {
    // A stream reports them first. A remote server cannot count; errors in the request show up in its answer.
    const inputTokens = bridge.countTokens(model, request, signal).catch(() => 0);
    return await streamedEvents(
      context,
      pieces(events, { head, asked, inputTokens }),
      (error) => serverSentEvent(anthropicErrorBody(error), "error"),
    );
  }
  for await (const event of events) {
    if (event.type !== "done") continue;
    return context.json({
      ...head,
      content: contentOf(event, asked),
      ...ending(event, asked),
      usage: { ...usageOf(event), ...USAGE },
    });
  }
  throw new Error("The answer ended without its final event");
}

function contentOf({ thinking, text, toolCalls }: GenerationResult, asked: Body): Record<string, unknown>[] {
  const calls = isSingle(asked) ? toolCalls.slice(0, 1) : toolCalls;
  return [
    ...thinking === "" ? [] : [{
      type: "thinking",
      thinking: omitsThoughts(asked) ? "" : thinking,
      signature: signatureOf(thinking, asked),
    }],
    ...text === "" ? [] : [{ type: "text", text, citations: null }],
    ...calls.map(callOf),
  ];
}

function callOf(
  { toolCallId: id, name, input }: Pick<GenerationResult["toolCalls"][number], "toolCallId" | "name" | "input">,
): Record<string, unknown> {
  return { type: "tool_use", id, name, input, caller: { type: "direct" } };
}

/** It has no use but to bring back a thought that is not shown. */
function signatureOf(thinking: string, asked: Body): string {
  return omitsThoughts(asked) ? packReasoning(thinking) : "";
}

/** A server elsewhere does not tell which of several stop sequences matched. */
function ending(
  { stopReason, stopSequence }: GenerationResult,
  { stop_sequences: stops }: Body,
): Record<string, unknown> {
  const only = stopReason === "stop_sequence" && stops?.length === 1 ? stops[0] : undefined;
  return { stop_reason: stopReason, stop_sequence: stopSequence ?? only ?? null };
}

function usageOf({ usage }: GenerationResult): Record<string, unknown> {
  const cached = usage.cachedTokens ?? 0;
  return {
    // The API reports cached tokens separately.
    input_tokens: usage.promptTokens - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: usage.completionTokens,
  };
}

async function* pieces(
  events: AsyncIterable<GenerationEvent>,
  { head, asked, inputTokens }: {
    readonly head: Head;
    readonly asked: Body;
    readonly inputTokens: Promise<number>;
  },
): AsyncGenerator<string> {
  const event = (type: string, fields: Record<string, unknown>): string => serverSentEvent({ type, ...fields }, type);
  let index = -1;
  let open: "text" | "thinking" | undefined;
  let calls = 0;
  let begun = false;
  let thought = "";
  const close = (): string => {
    const signature = open === "thinking"
      ? event("content_block_delta", {
        index,
        delta: { type: "signature_delta", signature: signatureOf(thought, asked) },
      })
      : "";
    thought = "";
    const text = open === undefined ? "" : signature + event("content_block_stop", { index });
    open = undefined;
    return text;
  };
  const start = async (): Promise<string> => {
    if (begun) return "";
    begun = true;
    // Cached tokens are known only at the end.
    const usage = {
      input_tokens: await inputTokens,
      cache_creation_input_tokens: null,
      cache_read_input_tokens: null,
      output_tokens: 0,
      ...USAGE,
    };
    return event("message_start", {
      message: { ...head, content: [], stop_reason: null, stop_sequence: null, usage },
    });
  };
  for await (const one of events) {
    let text = await start();
    switch (one.type) {
      case "text":
      case "thinking":
        if (open !== one.type) {
          text += close();
          open = one.type;
          const block = one.type === "text"
            ? { type: "text", text: "", citations: null }
            : { type: "thinking", thinking: "", signature: "" };
          text += event("content_block_start", { index: ++index, content_block: block });
        }
        if (one.type === "thinking") thought += one.text;
        if (one.type === "thinking" && omitsThoughts(asked)) break;
        text += event("content_block_delta", {
          index,
          delta: one.type === "text"
            ? { type: "text_delta", text: one.text }
            : { type: "thinking_delta", thinking: one.text },
        });
        break;
      case "tool_use": {
        if (isSingle(asked) && calls++ > 0) break;
        text += close();
        const delta = { type: "input_json_delta", partial_json: JSON.stringify(one.input) };
        text += event("content_block_start", {
          index: ++index,
          content_block: callOf({ ...one, input: {} }),
        });
        text += event("content_block_delta", { index, delta }) + event("content_block_stop", { index });
        break;
      }
      case "done":
        text += close();
        text += event("message_delta", {
          delta: { ...ending(one, asked), container: null, stop_details: null },
          usage: { ...usageOf(one), ...NOT_COUNTED },
        });
        text += event("message_stop", {});
        break;
    }
    if (text !== "") yield text;
  }
}
