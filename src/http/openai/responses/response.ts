/** The response object of the Responses API and its items. */
import type { GenerationResult } from "@inferd/client";
import { packReasoning } from "./items.ts";
import { type FunctionName, offered } from "./tools.ts";
import { type Body, wantsSummary } from "./request.ts";

export type OutputItem = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };

/** Fields common to all versions of a response. */
export interface Head {
  readonly id: string;
  readonly createdAt: number;
  readonly model: string;
}

export function newId(prefix: "resp" | "msg" | "rs" | "fc"): string {
  return `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;
}

export function responseObject(head: Head, asked: Body, state: {
  readonly status: "in_progress" | "completed" | "incomplete" | "failed";
  readonly output: readonly OutputItem[];
  readonly result?: GenerationResult;
  readonly error?: { readonly code: string; readonly message: string };
}): Record<string, unknown> {
  const { status, output, result, error } = state;
  return {
    id: head.id,
    object: "response",
    created_at: head.createdAt,
    completed_at: status === "completed" ? Math.floor(Date.now() / 1000) : null,
    status,
    background: false,
    error: error ?? null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: asked.instructions ?? null,
    max_output_tokens: asked.max_output_tokens ?? null,
    max_tool_calls: asked.max_tool_calls ?? null,
    metadata: asked.metadata ?? {},
    model: head.model,
    output,
    parallel_tool_calls: asked.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: asked.reasoning?.effort ?? null, summary: asked.reasoning?.summary ?? null },
    service_tier: "default",
    store: false,
    temperature: asked.temperature ?? 1,
    text: { format: asked.text?.format ?? { type: "text" } },
    tool_choice: asked.tool_choice ?? "auto",
    tools: offered(asked.tools).map((tool) =>
      tool.type === "namespace" ? tool : { strict: true, parameters: null, description: null, ...tool }
    ),
    top_logprobs: asked.top_logprobs ?? 0,
    top_p: asked.top_p ?? 1,
    truncation: "disabled",
    usage: result === undefined ? null : usageOf(result),
    user: asked.user ?? null,
  };
}

function usageOf({ usage }: GenerationResult): Record<string, unknown> {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens ?? 0, cache_write_tokens: 0 },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}

export function reasoningItem(id: string, text: string, asked: Body): OutputItem {
  const asSummary = wantsSummary(asked);
  return {
    id,
    type: "reasoning",
    summary: asSummary && text !== "" ? [{ type: "summary_text", text }] : [],
    ...(asSummary ? {} : { content: text === "" ? [] : [{ type: "reasoning_text", text }] }),
    ...(asked.include?.includes("reasoning.encrypted_content") ? { encrypted_content: packReasoning(text) } : {}),
  };
}

/** @param part Its text and logprobs; undefined at the start. */
export function messageItem(
  id: string,
  part: { readonly text: string; readonly logprobs: readonly unknown[] } | undefined,
  status: "in_progress" | "completed" | "incomplete",
): OutputItem {
  const content = part === undefined ? [] : [
    { type: "output_text", annotations: [], text: part.text, logprobs: part.logprobs },
  ];
  return { id, type: "message", status, role: "assistant", content };
}

function named({ name, namespace }: FunctionName): FunctionName {
  return namespace ? { name, namespace } : { name };
}

export function callItem(
  id: string,
  call: FunctionName & { readonly callId: string; readonly text: string },
  status: "in_progress" | "completed",
): OutputItem {
  return { id, type: "function_call", status, call_id: call.callId, ...named(call), arguments: call.text };
}
