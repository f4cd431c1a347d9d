/** The stream of Chat Completions. The constant part of all chunks is serialised only once, to make chunks cheap. */
import type { GenerationEvent, GenerationResult, TokenLogprob } from "@inferd/client";
import { serverSentEvent } from "../event_stream.ts";
import type { Followed } from "../llama_server/settings.ts";
import { onlyTimings, Progress, timingsOf } from "../llama_server/timings.ts";
import { finishReason, type Head, usageOf } from "./answers.ts";
import { chatLogprobs } from "./logprobs.ts";

export interface ChunkOptions {
  readonly head: Head;
  /** What the last chunk of an answer has besides. */
  readonly verbose?: ((result: GenerationResult, index: number) => Record<string, unknown>) | undefined;
  readonly asked: Followed & {
    readonly stream_options?: { readonly include_usage?: boolean | null | undefined } | null | undefined;
    readonly parallel_tool_calls?: boolean | null | undefined;
    readonly n?: number | null | undefined;
    readonly post_sampling_probs?: boolean | null | undefined;
  };
}

/** @param events Events of all choices, each with its index. */
export async function* chunks(
  events: AsyncIterable<readonly [number, GenerationEvent]>,
  { head, asked, verbose }: ChunkOptions,
): AsyncGenerator<string> {
  const withUsage = asked.stream_options?.include_usage ?? false;
  const shared = { ...head, object: "chat.completion.chunk" };
  const start = `data: ${JSON.stringify(shared).slice(0, -1)},"choices":[{"index":`;
  const end = withUsage ? '}],"usage":null' : "}]";
  const progress = new Progress(asked);
  const write = (
    index: number,
    delta: string,
    { logprobs, fields }: { readonly logprobs?: readonly TokenLogprob[] | undefined; readonly fields?: object } = {},
  ): string => {
    const likely = logprobs === undefined ? "null" : JSON.stringify(chatLogprobs(logprobs, asked.post_sampling_probs));
    const more = fields === undefined ? "" : JSON.stringify(fields).slice(1, -1);
    const chunk = `${start}${index},"delta":${delta},"logprobs":${likely},"finish_reason":null${end}`;
    return `${chunk}${more && ","}${more}}\n\n`;
  };
  const begun = new Set<number>();
  const calls = new Map<number, number>();
  const results: GenerationResult[] = [];
  for await (const [index, event] of events) {
    if (event.type === "progress") {
      const fields = progress.take(index, event);
      if (fields !== undefined) yield write(index, '{"role":"assistant","content":null}', { fields });
      continue;
    }
    const fields = progress.of(index);
    let head = "";
    if (!begun.has(index)) {
      begun.add(index);
      // As llama-server's; OpenAI's is null only before calls, otherwise empty.
      head = write(index, '{"role":"assistant","content":null}');
    }
    switch (event.type) {
      case "text":
        yield head +
          write(index, `{"content":${JSON.stringify(event.text)}}`, { logprobs: event.logprobs, fields });
        break;
      case "thinking":
        yield head + write(index, `{"reasoning_content":${JSON.stringify(event.text)}}`, { fields });
        break;
      case "tool_use": {
        const number = calls.get(index) ?? 0;
        if (number > 0 && asked.parallel_tool_calls === false) break;
        calls.set(index, number + 1);
        const { toolCallId: id, name, input } = event;
        const call = { index: number, id, type: "function", function: { name, arguments: JSON.stringify(input) } };
        yield head + write(index, JSON.stringify({ tool_calls: [call] }), { fields });
        break;
      }
      case "done":
        results.push(event);
        yield head + serverSentEvent({
          ...shared,
          choices: [{ index, delta: {}, logprobs: null, finish_reason: finishReason(event) }],
          ...(withUsage ? { usage: null } : (asked.n ?? 1) === 1 ? timingsOf(event) : {}),
          ...verbose?.(event, index),
        });
        break;
    }
  }
  if (withUsage) {
    yield serverSentEvent({ ...shared, choices: [], usage: usageOf(results), ...onlyTimings(results) });
  }
  yield "data: [DONE]\n\n";
}
