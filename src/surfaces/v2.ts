/**
 * Generation v2: the fields of a request, the capabilities a backend needs for it, and its frames. The parts of a
 * request are read in `blocks.ts`, `attachments.ts` and `tools.ts`.
 */
import {
  isText,
  isWithin,
  type LongText,
  MAX_LOGPROBS,
  type NumberLimits,
  type V2DoneFrame,
  type V2Frame,
  type V2Logprob,
  type V2MediaKind,
  type V2ProgressFrame,
  type V2StopReason,
  type V2Timings,
  type V2TokenProbability,
  type V2Usage,
} from "@inferd/client/protocol";
import type { Backend } from "../inference/backend.ts";
import { AttachmentUnsupportedError, InvalidRequestError } from "../inference/errors.ts";
import type {
  BackendEvent,
  FinishReason,
  Progress,
  Timings,
  TokenLogprob,
  TokenProbability,
  Usage,
} from "../inference/events.ts";
import type { GenerationRequest, ToolUse } from "../inference/request.ts";
import {
  readBoolean,
  readFlag,
  readModel,
  readNonEmptyArray,
  readNumber,
  readRequest,
  readString,
  refuse,
  type ResolvedRequest,
  type StreamedAnswer,
  type Terminal,
} from "../pipeline/resolve.ts";
import { Attachments, prepareAttachments } from "./attachments.ts";
import { readConversation } from "./blocks.ts";
import { readGrammar, readSampling } from "./generation.ts";
import { readInfill } from "./infill.ts";
import type { Surface } from "./surface.ts";
import { readRendering, readTokenizerLine, tokenizerTypeOf } from "./tokenizer.ts";
import { readTools } from "./tools.ts";
import { defined } from "../inference/objects.ts";

/** The vocabulary's size is the engine's to check. */
const TOKEN: NumberLimits = { min: 0, max: 2 ** 31 - 1, whole: true };

const LOGPROBS: NumberLimits = { min: 0, max: MAX_LOGPROBS, whole: true };

const STOP_REASONS: Readonly<Record<FinishReason, V2StopReason>> = {
  end: "end_turn",
  stop: "stop_sequence",
  length: "max_tokens",
  tool_use: "tool_use",
};

/** The parts of frames that depend on the request and the backend. */
interface Answered {
  readonly id: string;
  readonly backend: Backend;
  /** Some models think despite being told not to; that thinking is dropped. */
  readonly thinking: boolean;
  readonly clock: Clock;
}

export const v2Surface: Surface = {
  name: "v2",
  service: "v2",
  prepare: prepareAttachments,
  read(value: unknown): ResolvedRequest {
    const { id, fields } = readRequest(value);
    const tokenizerType = tokenizerTypeOf(fields.type);
    if (tokenizerType !== undefined) return readTokenizerLine(id, tokenizerType, fields);
    const stream = fields.stream === undefined ? true : readBoolean("stream", fields.stream);
    const attachments = new Attachments(fields.attachments === undefined ? [] : fields.attachments);
    const request: GenerationRequest<LongText> = {
      ...readPrompt(fields, attachments),
      ...readTools(fields),
      thinking: readFlag("thinking", fields),
      ...(fields.grammar === undefined ? {} : { grammar: readGrammar(fields.grammar) }),
      ...(readFlag("ignore_eos", fields) ? { ignoreEos: true } : {}),
      ...readInfill(fields),
      ...(fields.logprobs === undefined ? {} : { logprobs: readNumber("logprobs", fields.logprobs, LOGPROBS) }),
      ...(readFlag("logprobs_after_sampling", fields) ? { logprobsAfterSampling: true } : {}),
      ...(readFlag("progress", fields) && stream ? { progress: true } : {}),
      ...(readFlag("return_tokens", fields) ? { returnTokens: true } : {}),
      ...readSampling(fields),
    };
    attachments.checkAllUsed();
    checkTogether(request);
    return {
      id,
      ...readModel(fields),
      answer: (backend, signal, queuedMs = 0) => {
        checkAble(backend, { request, kinds: attachments.kinds });
        const events = backend.generate(request, signal);
        const answered = { id, backend, thinking: request.thinking, clock: new Clock(queuedMs) };
        return { events, render: stream ? rendering(answered) : renderingAtOnce(answered) };
      },
    };
  },
};

/** Read the conversation, or the prompt in its place. */
function readPrompt(
  { messages, prompt, suffix, ...others }: Readonly<Record<string, unknown>>,
  attachments: Attachments,
): Pick<GenerationRequest<LongText>, "messages" | "prompt" | "suffix" | "generationPrompt" | "templateVariables"> {
  if (prompt === undefined) {
    if (suffix !== undefined) throw new InvalidRequestError('"suffix" goes with "prompt" only');
    return { messages: readConversation(messages, attachments), ...readRendering(others) };
  }
  for (const field of ["generation_prompt", "template_variables"]) {
    if (others[field] !== undefined) throw new InvalidRequestError(`"${field}" goes without "prompt"`);
  }
  if (messages !== undefined && !(Array.isArray(messages) && messages.length === 0)) {
    throw new InvalidRequestError('"prompt" goes without "messages"');
  }
  const parts = (isText(prompt) ? [prompt] : readNonEmptyArray("prompt", prompt)).map((part, index) =>
    isText(part) || isWithin(part, TOKEN) ? part : refuse(`prompt[${index}]`, "a text or the id of a token", part)
  );
  if (suffix === undefined && parts.every((part) => part === "")) {
    throw new InvalidRequestError('"prompt" must not be empty');
  }
  return { messages: [], prompt: parts, ...(suffix === undefined ? {} : { suffix: readString("suffix", suffix) }) };
}

/** Refuse fields that exclude each other. */
function checkTogether(request: GenerationRequest<LongText>): void {
  const { prompt, grammar, ignoreEos, tools, responseSchema, thinking, logprobs, logprobsAfterSampling } = request;
  const { infillSampling } = request;
  const form = tools.length > 0 ? "tools" : responseSchema !== undefined ? "response_format" : undefined;
  const shaped = form ?? (thinking ? "thinking" : undefined);
  const refuse = (field: string, other: string | undefined): void => {
    if (other !== undefined) throw new InvalidRequestError(`"${field}" cannot go together with "${other}"`);
  };
  if (prompt !== undefined) refuse("prompt", tools.length > 0 ? "tools" : thinking ? "thinking" : undefined);
  if (logprobsAfterSampling && logprobs === undefined) {
    throw new InvalidRequestError('"logprobs_after_sampling" goes with "logprobs" only');
  }
  if (grammar !== undefined) refuse("grammar", shaped);
  if (ignoreEos) refuse("ignore_eos", grammar !== undefined ? "grammar" : form);
  if (infillSampling) refuse("infill_sampling", ignoreEos ? "ignore_eos" : grammar !== undefined ? "grammar" : form);
}

/** Refuse what the backend cannot do, before asking it. */
function checkAble(
  { name, capabilities }: Backend,
  { request, kinds }: { readonly request: GenerationRequest<LongText>; readonly kinds: readonly V2MediaKind[] },
): void {
  const { tools, toolChoice } = request;
  for (const kind of kinds) {
    // No engine takes video.
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

function rendering(answered: Answered): StreamedAnswer["render"] {
  const { id, thinking, clock } = answered;
  // Most frames are of this kind, so their constant part is built once.
  const head = `{"id":${JSON.stringify(id)},"type":"frame","block":{"type":`;
  const textHead = `${head}"text","delta":`;
  const thinkingHead = `${head}"thinking","delta":`;
  return (event) => {
    if (event.type === "progress") return progressFrame(id, event);
    clock.tick();
    switch (event.type) {
      case "text":
        return `${textHead}${JSON.stringify(event.text)}}${logprobsField(event.logprobs)}}\n`;
      case "thinking":
        return thinking ? `${thinkingHead}${JSON.stringify(event.text)}}}\n` : undefined;
      case "text_was_thinking":
        return undefined;
      case "tool_use":
        return toolUseFrame(id, event);
      case "done":
        return terminal(event, answered);
    }
  };
}

/** As above, but with each kind of block in one piece before the final frame: thinking, text, then calls. */
function renderingAtOnce(answered: Answered): StreamedAnswer["render"] {
  const { id, clock } = answered;
  let text = "";
  let thinking = "";
  let logprobs: TokenLogprob[] | undefined;
  let calls = "";
  return (event) => {
    if (event.type === "progress") return undefined;
    clock.tick();
    switch (event.type) {
      case "text":
        text += event.text;
        if (event.logprobs !== undefined) (logprobs ??= []).push(...event.logprobs);
        return undefined;
      case "thinking":
        thinking += event.text;
        return undefined;
      case "text_was_thinking":
        thinking += text;
        text = "";
        logprobs = undefined;
        return undefined;
      case "tool_use":
        calls += toolUseFrame(id, event);
        return undefined;
      case "done": {
        const end = terminal(event, answered);
        const trace = answered.thinking && thinking !== "" ? frame(id, { type: "thinking", delta: thinking }) : "";
        const said = text === "" ? "" : frame(id, { type: "text", delta: text }, logprobs);
        return { ...end, frame: trace + said + calls + end.frame };
      }
    }
  };
}

function progressFrame(id: string, { processedTokens, usage, timings }: Progress): string {
  const frame: V2ProgressFrame = {
    id,
    type: "progress",
    processed_tokens: processedTokens,
    usage: toUsage(usage),
    timings: toTimings(timings),
  };
  return `${JSON.stringify(frame)}\n`;
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
    // JSON has no infinity, so an impossible token would become null.
    logprob: Math.max(logprob, -Number.MAX_VALUE),
  };
}

/** Measures an answer's timings, for backends that do not report them. */
class Clock {
  readonly #queuedMs: number;
  readonly #start = performance.now();
  #firstAt: number | undefined;

  constructor(queuedMs: number) {
    this.#queuedMs = queuedMs;
  }

  /** An event arrived. */
  tick(): void {
    this.#firstAt ??= performance.now();
  }

  /** @param told Timings reported by the backend. */
  timings(told: Timings | undefined): V2Timings {
    const now = performance.now();
    const firstAt = this.#firstAt ?? now;
    const { queueMs, promptMs, generationMs } = told ??
      { queueMs: 0, promptMs: firstAt - this.#start, generationMs: now - firstAt };
    return toTimings({ queueMs: this.#queuedMs + queueMs, promptMs, generationMs });
  }
}

function toTimings({ queueMs, promptMs, generationMs }: Timings): V2Timings {
  return { queue_ms: rounded(queueMs), prompt_ms: rounded(promptMs), generation_ms: rounded(generationMs) };
}

function toUsage(usage: Usage): V2Usage {
  return {
    input_tokens: usage.promptTokens,
    output_tokens: usage.completionTokens,
    cached_tokens: usage.cachedTokens,
    ...defined({ forced_tokens: usage.forcedTokens, prepared_tokens: usage.preparedTokens }),
    ...defined({ drafted_tokens: usage.draftedTokens, accepted_tokens: usage.acceptedTokens }),
  };
}

/** Rounded to microseconds. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function terminal(
  { reason, stop, usage, timings, toolChoiceUnsatisfied, tokens }: Extract<BackendEvent, { type: "done" }>,
  { id, backend, clock }: Answered,
): Terminal<string> {
  const done: V2DoneFrame = {
    id,
    type: "done",
    usage: toUsage(usage),
    stop_reason: STOP_REASONS[reason],
    ...(stop === undefined ? {} : { stop_sequence: stop }),
    backend: backend.name,
    timings: clock.timings(timings),
    ...(toolChoiceUnsatisfied ? { tool_choice_unsatisfied: true } : {}),
    ...(tokens === undefined ? {} : { tokens: [...tokens] }),
  };
  return { frame: `${JSON.stringify(done)}\n`, stopReason: done.stop_reason, usage };
}
