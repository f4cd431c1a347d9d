/**
 * Generation v2: which fields a request has, what a backend must be able to do for it, and how its frames look. The
 * parts of a request are read in `blocks.ts`, `attachments.ts` and `tools.ts`.
 */
import {
  MAX_LOGPROBS,
  type V2DoneFrame,
  type V2Frame,
  type V2Logprob,
  type V2MediaKind,
  type V2StopReason,
  type V2Timings,
  type V2TokenProbability,
} from "@inferd/client/protocol";
import type { Backend } from "../inference/backend.ts";
import { AttachmentUnsupportedError, InvalidRequestError } from "../inference/errors.ts";
import type { BackendEvent, FinishReason, Timings, TokenLogprob, TokenProbability } from "../inference/events.ts";
import type { GenerationRequest, ToolUse } from "../inference/request.ts";
import {
  type Range,
  readBoolean,
  readInteger,
  readModel,
  readRequest,
  type ResolvedRequest,
  type Step,
} from "../pipeline/resolve.ts";
import { Attachments } from "./attachments.ts";
import { readConversation } from "./blocks.ts";
import { readSampling } from "./generation.ts";
import type { Surface } from "./surface.ts";
import { resolveTokenizer, tokenizerTypeOf } from "./tokenizer.ts";
import { readTools } from "./tools.ts";

const LOGPROBS: Range = { min: 0, max: MAX_LOGPROBS, text: `an integer from 0 to ${MAX_LOGPROBS}` };

const STOP_REASONS: Readonly<Record<FinishReason, V2StopReason>> = {
  end: "end_turn",
  stop: "stop_sequence",
  length: "max_tokens",
  tool_use: "tool_use",
};

/** What frames say of the request and of who answers it. */
interface Answered {
  readonly id: string;
  readonly backend: Backend;
  /** Some models think though they were asked not to: who did not ask for it gets none of it. */
  readonly thinking: boolean;
  readonly clock: Clock;
}

/** The v2 surface. */
export const v2Surface: Surface = {
  name: "v2",
  service: "v2",
  resolve(value: unknown): ResolvedRequest {
    const { id, fields } = readRequest(value);
    const tokenizerType = tokenizerTypeOf(fields.type);
    if (tokenizerType !== undefined) return resolveTokenizer(id, tokenizerType, fields);
    const stream = fields.stream === undefined ? true : readBoolean("stream", fields.stream);
    const attachments = new Attachments(fields.attachments === undefined ? [] : fields.attachments);
    const request: GenerationRequest = {
      messages: readConversation(fields.messages, attachments),
      ...readTools(fields),
      thinking: fields.thinking === undefined ? false : readBoolean("thinking", fields.thinking),
      ...(fields.logprobs === undefined ? {} : { logprobs: readInteger("logprobs", fields.logprobs, LOGPROBS) }),
      ...readSampling(fields),
    };
    attachments.checkAllUsed();
    return {
      id,
      ...readModel(fields),
      answer: (backend, signal, queuedMs = 0) => {
        checkAble(backend, { request, kinds: attachments.kinds });
        const events = backend.generate(request, signal);
        const answered = { id, backend, thinking: request.thinking, clock: new Clock(queuedMs) };
        return stream ? answer(events, answered) : answerAtOnce(events, answered);
      },
    };
  },
};

/** Refuse what the backend cannot do, before it is asked. */
function checkAble(
  { name, capabilities }: Backend,
  { request, kinds }: { readonly request: GenerationRequest; readonly kinds: readonly V2MediaKind[] },
): void {
  const { tools, toolChoice } = request;
  for (const kind of kinds) {
    // No engine takes films.
    const able = kind === "image" ? capabilities?.vision : kind === "audio" ? capabilities?.audio : false;
    if (!able) throw new AttachmentUnsupportedError(`Backend "${name}" takes no attachments of kind "${kind}"`);
  }
  if (tools.length > 0 && toolChoice !== "none" && !capabilities?.tools) {
    const choice = JSON.stringify(toolChoice);
    throw new InvalidRequestError(
      `"tool_choice": ${choice} cannot be enforced by backend "${name}": its model calls no tools`,
    );
  }
}

async function* answer(events: AsyncIterable<BackendEvent>, answered: Answered): AsyncGenerator<Step> {
  const { id, thinking, clock } = answered;
  // Most frames are one of these, so what is the same in all of them is written once.
  const head = `{"id":${JSON.stringify(id)},"type":"frame","block":{"type":`;
  const textHead = `${head}"text","delta":`;
  const thinkingHead = `${head}"thinking","delta":`;
  for await (const event of events) {
    clock.tick();
    switch (event.type) {
      case "text":
        yield `${textHead}${JSON.stringify(event.text)}}${logprobsField(event.logprobs)}}\n`;
        break;
      case "thinking":
        yield thinking ? `${thinkingHead}${JSON.stringify(event.text)}}}\n` : "";
        break;
      case "tool_use":
        yield toolUseFrame(id, event);
        break;
      case "done":
        yield terminal(event, answered);
        return;
    }
  }
}

/** The same with each kind of block in one piece: the trace, the text, then the calls. */
async function* answerAtOnce(events: AsyncIterable<BackendEvent>, answered: Answered): AsyncGenerator<Step> {
  const { id } = answered;
  let text = "";
  let thinking = "";
  let logprobs: TokenLogprob[] | undefined;
  const calls: string[] = [];
  for await (const event of events) {
    answered.clock.tick();
    if (event.type === "done") {
      if (answered.thinking && thinking !== "") yield frame(id, { type: "thinking", delta: thinking });
      if (text !== "") yield frame(id, { type: "text", delta: text }, logprobs);
      yield* calls;
      yield terminal(event, answered);
      return;
    }
    if (event.type === "text") {
      text += event.text;
      if (event.logprobs !== undefined) (logprobs ??= []).push(...event.logprobs);
    } else if (event.type === "thinking") thinking += event.text;
    else if (event.type === "text_was_thinking") {
      thinking += text;
      text = "";
      logprobs = undefined;
    } else calls.push(toolUseFrame(id, event));
    yield "";
  }
}

function toolUseFrame(id: string, { toolCallId, name, input }: ToolUse): string {
  return frame(id, { type: "tool_use", tool_call_id: toolCallId, name, input });
}

function frame(id: string, block: V2Frame["block"], logprobs?: readonly TokenLogprob[]): string {
  const whole: V2Frame = {
    id,
    type: "frame",
    block,
    ...(logprobs === undefined ? {} : { logprobs: logprobs.map(toLogprob) }),
  };
  return `${JSON.stringify(whole)}\n`;
}

function logprobsField(logprobs: readonly TokenLogprob[] | undefined): string {
  return logprobs === undefined ? "" : `,"logprobs":${JSON.stringify(logprobs.map(toLogprob))}`;
}

function toLogprob(entry: TokenLogprob): V2Logprob {
  return { ...toProbability(entry), top: entry.top.map(toProbability) };
}

function toProbability({ token, id, bytes, logprob }: TokenProbability): V2TokenProbability {
  return {
    token,
    ...(id === undefined ? {} : { token_id: id }),
    bytes: [...bytes],
    // JSON has no infinity, and a token without a chance would be null.
    logprob: Math.max(logprob, -Number.MAX_VALUE),
  };
}

/** When what happened to an answer, for backends that do not say it. */
class Clock {
  readonly #queuedMs: number;
  readonly #start = performance.now();
  #firstAt: number | undefined;

  constructor(queuedMs: number) {
    this.#queuedMs = queuedMs;
  }

  /** Something came. */
  tick(): void {
    this.#firstAt ??= performance.now();
  }

  /** @param told What the backend says, of the time since it was asked. */
  timings(told: Timings | undefined): V2Timings {
    const now = performance.now();
    const firstAt = this.#firstAt ?? now;
    const { queueMs, promptMs, generationMs } = told ??
      { queueMs: 0, promptMs: firstAt - this.#start, generationMs: now - firstAt };
    return {
      queue_ms: rounded(this.#queuedMs + queueMs),
      prompt_ms: rounded(promptMs),
      generation_ms: rounded(generationMs),
    };
  }
}

/** Microseconds are exact enough. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function terminal(
  { reason, usage, timings, toolChoiceUnsatisfied }: Extract<BackendEvent, { type: "done" }>,
  { id, backend, clock }: Answered,
): Step {
  const done: V2DoneFrame = {
    id,
    type: "done",
    usage: {
      input_tokens: usage.promptTokens,
      output_tokens: usage.completionTokens,
      cached_tokens: usage.cachedTokens,
    },
    stop_reason: STOP_REASONS[reason],
    backend: backend.name,
    timings: clock.timings(timings),
    ...(toolChoiceUnsatisfied ? { tool_choice_unsatisfied: true } : {}),
  };
  return { frame: `${JSON.stringify(done)}\n`, stopReason: done.stop_reason, usage };
}
