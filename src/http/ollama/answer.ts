/** Ollama's responses: one JSON value per line, or a single one. */
import type { Context } from "hono";
import type { DoneEvent, GenerationEvent, TokenLogprob } from "@inferd/client";
import type { Bridge, GenerationJob } from "../bridge.ts";
import { chatLogprobs } from "../openai/logprobs.ts";
import { JSON_LINES, streamed } from "../event_stream.ts";
import { doneReason, Durations } from "./options.ts";
import { ollamaErrorBody } from "./error.ts";

/** Ollama has no progress. */
export type AnswerEvent = Exclude<GenerationEvent, { type: "progress" }>;

/** An answer to send. */
export interface OllamaAnswer {
  /** The model's name in the request. */
  readonly name: string;
  /** Undefined: nothing is generated, only the model's presence is checked. */
  readonly job: Pick<GenerationJob, "model" | "request"> | undefined;
  readonly stream: boolean;
  /** The fields for an event; for `done`, the whole answer. */
  piece(event: AnswerEvent): Record<string, unknown>;
}

export async function answerOllama(context: Context, bridge: Bridge, answer: OllamaAnswer): Promise<Response> {
  const { name: model, job, stream, piece } = answer;
  const head = (): Record<string, unknown> => ({ model, created_at: new Date().toISOString() });
  if (job === undefined) {
    const empty = { type: "text", text: "" } as const;
    return context.json({ ...head(), ...piece(empty), done: true, done_reason: "load" });
  }
  const times = new Durations();
  const request = { ...job.request, stream };
  const events = bridge.generate({ api: "ollama", model: job.model, request, signal: context.req.raw.signal });
  const last = async (event: DoneEvent): Promise<Record<string, unknown>> => {
    const durations = times.fields(event.usage, event.timings);
    const tokens = await contextOf(event, bridge, { model: job.model.name, signal: context.req.raw.signal });
    return {
      done: true,
      done_reason: doneReason(event),
      ...(tokens === undefined ? {} : { context: tokens }),
      ...durations,
    };
  };
  if (!stream) {
    for await (const event of events) {
      if (event.type === "done") {
        return context.json({ ...head(), ...piece(event), ...likely(event.logprobs), ...await last(event) });
      }
      times.piece();
    }
    throw new Error("The answer ended without its final event");
  }
  return await streamed(
    context,
    (async function* (): AsyncGenerator<string> {
      for await (const event of events) {
        if (event.type === "progress") continue;
        if (event.type !== "done") times.piece();
        const line = event.type === "done"
          ? { ...head(), ...piece({ type: "text", text: "" }), ...await last(event) }
          : { ...head(), ...piece(event), ...(event.type === "text" ? likely(event.logprobs) : {}), done: false };
        yield `${JSON.stringify(line)}\n`;
      }
    })(),
    { contentType: JSON_LINES, onError: (error) => `${JSON.stringify(ollamaErrorBody(error))}\n` },
  );
}

/** Ollama uses the list inside OpenAI's format. */
function likely(tokens: readonly TokenLogprob[] | undefined): Record<string, unknown> {
  return tokens === undefined ? {} : { logprobs: chatLogprobs(tokens)?.content };
}

/**
 * The tokens to continue from, if they were requested. Those of a stop string are not part of the answer: one may even
 * hold the answer's end and the string's beginning, so what was sent is tokenized again.
 */
async function contextOf(
  { tokens, stopReason, text, thinking, usage: { promptTokens } }: DoneEvent,
  { link }: Bridge,
  options: { readonly model: string; readonly signal: AbortSignal },
): Promise<readonly number[] | undefined> {
  if (tokens === undefined || stopReason !== "stop_sequence") return tokens;
  const client = await link.client("v2");
  const written = await client.detokenize(tokens.slice(promptTokens), options);
  const at = written.indexOf(text, written.indexOf(thinking) + thinking.length);
  if (at < 0) return tokens;
  const kept = await client.tokenize(written.slice(0, at + text.length), { ...options, addSpecial: false });
  return [...tokens.slice(0, promptTokens), ...kept];
}
