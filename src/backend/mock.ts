/**
 * A backend that follows a script instead of running a model, for tests and for trying out clients. Counts each word of
 * input and each piece of output as a token; ignores sampling, stop strings and grammars. Its tokenizer's ids are
 * UTF-16 units.
 */
import { delay } from "@std/async";
import { isText, type LongText } from "@inferd/client/protocol";
import type { MockBackendConfig } from "../config/options.ts";
import {
  type Backend,
  type BackendCapabilities,
  type BackendNotice,
  type BackendState,
  DEFAULT_CONTEXT_TOKENS,
  SERVICES,
} from "../inference/backend.ts";
import { callId, callsIn } from "../inference/call_ids.ts";
import { BackendUnavailableError, InvalidRequestError } from "../inference/errors.ts";
import type { BackendEvent, TokenLogprob } from "../inference/events.ts";
import type {
  ContentBlock,
  EmbedAnswer,
  EmbedRequest,
  GenerationRequest,
  RerankAnswer,
  RerankRequest,
  TokenizerAnswer,
  TokenizerRequest,
  ToolUse,
} from "../inference/request.ts";
import { mayCall, mustCall } from "../inference/tool_choice.ts";
import { turn } from "../inference/turn.ts";

const DEFAULT_TOKENS: readonly string[] = ["This", " is", " a", " mock", " answer", "."];
const DEFAULT_DIMENSIONS = 8;

/** Characters in which words are counted per turn of the event loop. */
const COUNTED_CHARACTERS = 256 * 1024;
/** Tokens without delay per turn of the event loop; more would starve other tasks. */
const TOKENS_PER_TURN = 32;

export class MockBackend implements Backend {
  readonly name: string;
  readonly #config: MockBackendConfig;
  #state: BackendState = "loading";

  constructor(config: MockBackendConfig) {
    this.name = config.name;
    this.#config = config;
  }

  get state(): BackendState {
    return this.#state;
  }

  get capabilities(): BackendCapabilities | undefined {
    if (this.#state !== "ready") return undefined;
    const { services = SERVICES, vision = false, audio = false } = this.#config.script;
    const v2 = services.includes("v2");
    return {
      v1: services.includes("v1"),
      v2,
      vision,
      audio,
      tools: v2,
      thinking: v2,
      embed: services.includes("embed"),
      rerank: services.includes("rerank"),
      accelerator: "none",
      gpuLayers: 0,
      model: this.name,
      contextTokens: DEFAULT_CONTEXT_TOKENS,
      parallel: this.#config.parallel ?? 1,
    };
  }

  async start(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<void> {
    if (this.#config.script.neverReady) await aborted(signal);
    signal.throwIfAborted();
    this.#state = "ready";
    const capabilities = this.capabilities;
    if (capabilities !== undefined) notify({ type: "ready", capabilities });
  }

  async *generate(request: GenerationRequest<LongText>, signal: AbortSignal): AsyncGenerator<BackendEvent> {
    const { tokens = DEFAULT_TOKENS, count, thinking = [], hangAt } = this.#config.script;
    await checkSchemas(request);
    const thoughts = request.thinking ? thinking : [];
    const calls = this.#calls(request);
    const required = mustCall(request.toolChoice);
    const texts = required ? 0 : count ?? tokens.length;
    const scripted = thoughts.length + texts + calls.length;
    const length = Math.min(scripted, request.maxTokens);
    for (let index = 0; index <= length; index++) {
      if (index === hangAt) await aborted(signal);
      this.#failAt(index);
      if (index === length) break;
      const pause = this.#pause(index, signal);
      if (pause !== undefined) await pause;
      signal.throwIfAborted();
      const thought = thoughts[index];
      const at = index - thoughts.length;
      const call = calls[at - texts];
      if (thought !== undefined) yield { type: "thinking", text: thought };
      else if (call !== undefined) yield call;
      else yield textEvent(count === undefined ? tokens[at] ?? "" : `${at} `, request.logprobs);
    }
    const cut = length < scripted;
    yield {
      type: "done",
      reason: cut ? "length" : calls.length > 0 ? "tool_use" : "end",
      usage: { promptTokens: await countWords(request), completionTokens: length, cachedTokens: 0 },
      ...(required && length <= thoughts.length ? { toolChoiceUnsatisfied: true } : {}),
    };
  }

  async embed({ input, dimensions, task }: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer> {
    const own = this.#config.script.dimensions ?? DEFAULT_DIMENSIONS;
    if (dimensions !== undefined && dimensions > own) {
      throw new InvalidRequestError(`"dimensions" must be at most ${own}, got ${dimensions}`);
    }
    await this.#begin(signal);
    const prefix = task === undefined ? "" : `${task} `;
    return {
      vectors: input.map((text) => vectorOf(`${prefix}${text}`, own).slice(0, dimensions)).map(toUnitLength),
      dimensions: dimensions ?? own,
      model: this.name,
      inputTokens: input.reduce(
        (sum, text) => sum + (typeof text === "string" ? wordsOf(text) : text).length,
        0,
      ),
    };
  }

  async rerank({ query, documents }: RerankRequest, signal: AbortSignal): Promise<RerankAnswer> {
    await this.#begin(signal);
    const wanted = new Set(wordsOf(query));
    const texts = documents.map(wordsOf);
    return {
      scores: texts.map((words) => wanted.intersection(new Set(words)).size),
      model: this.name,
      inputTokens: texts.reduce((sum, words) => sum + wanted.size + words.length, 0),
    };
  }

  async tokenizer(request: TokenizerRequest<LongText>, signal: AbortSignal): Promise<TokenizerAnswer> {
    await this.#begin(signal);
    switch (request.type) {
      case "tokenize":
        return { tokens: Array.from({ length: request.text.length }, (_, at) => request.text.charCodeAt(at)) };
      case "detokenize":
        return request.pieces
          ? { pieces: request.tokens.map((token) => [...new TextEncoder().encode(String.fromCharCode(token))]) }
          : { text: request.tokens.map((token) => String.fromCharCode(token)).join("") };
      case "count":
        return { count: await countWords(request.conversation) };
      case "apply_template":
        return {
          text: request.conversation.messages.map(({ role, content }) => `${role}: ${textIn(content)}\n`).join(""),
        };
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#state = "stopped";
    return Promise.resolve();
  }

  /** Scripted delays and failures before an answer that is not streamed. */
  async #begin(signal: AbortSignal): Promise<void> {
    if (this.#config.script.hangAt === 0) await aborted(signal);
    this.#failAt(0);
    await this.#pause(0, signal);
    signal.throwIfAborted();
  }

  #failAt(index: number): void {
    const { failBefore = false, failAt } = this.#config.script;
    if (index !== failAt && !(failBefore && index === 0)) return;
    throw new BackendUnavailableError(`Backend "${this.name}" failed as its script says`);
  }

  #pause(index: number, signal: AbortSignal): Promise<void> | undefined {
    const { firstDelayMs = 0, delayMs = 0 } = this.#config.script;
    const pauseMs = index === 0 ? firstDelayMs : delayMs;
    if (pauseMs > 0) return delay(pauseMs, { signal });
    return index % TOKENS_PER_TURN === TOKENS_PER_TURN - 1 ? turn() : undefined;
  }

  #calls({ tools, toolChoice, messages }: GenerationRequest<LongText>): ToolUse[] {
    const callable = tools.filter((tool) => mayCall(tool, toolChoice));
    const [first] = callable;
    if (first === undefined) return [];
    const required = mustCall(toolChoice);
    const last = messages.at(-1)?.content ?? "";
    if (!required && !isText(last) && last.some(({ type }) => type === "tool_result")) return [];
    const offered = (this.#config.script.calls ?? []).filter((call) => callable.some(({ name }) => name === call.name));
    const calls = required && offered.length === 0 ? [{ name: first.name, input: {} }] : offered;
    // Call ids are unique within a conversation.
    const made = callsIn(messages).length;
    return calls.map(({ name, input }, index): ToolUse => ({
      type: "tool_use",
      toolCallId: callId(made + index + 1),
      name,
      input,
    }));
  }
}

/** Refuse schemas that an engine could not enforce, with its message. The compiler is imported on first use. */
async function checkSchemas({ tools, toolChoice, responseSchema }: GenerationRequest<LongText>): Promise<void> {
  if (!tools.some((tool) => mayCall(tool, toolChoice)) && responseSchema === undefined) return;
  const [{ GrammarError }, { GrammarBuilder }, { compileSchema }] = await Promise.all([
    import("../grammar/rules.ts"),
    import("../grammar/grammar_builder.ts"),
    import("../grammar/json_schema/json_schema.ts"),
  ]);
  const builder = new GrammarBuilder();
  try {
    const response = responseSchema === undefined
      ? []
      : [compileSchema(responseSchema, { builder, path: "response_format.schema" })];
    // A tool schema that cannot be enforced is left to validation of the call.
    const onUnenforced = (): void => {};
    const inputs = tools.flatMap((tool, index) =>
      mayCall(tool, toolChoice)
        ? [
          compileSchema({ ...tool.inputSchema, type: "object" }, {
            builder,
            path: `tools[${index}].input_schema`,
            onUnenforced,
          }),
        ]
        : []
    );
    builder.build(builder.choice([...response, ...inputs]));
  } catch (error) {
    throw error instanceof GrammarError ? new InvalidRequestError(error.message) : error;
  }
}

/** Scripted pieces have probability 1. */
function textEvent(text: string, logprobs: number | undefined): BackendEvent {
  if (logprobs === undefined) return { type: "text", text };
  const piece = { token: text, bytes: [...new TextEncoder().encode(text)], logprob: 0 };
  const entry: TokenLogprob = { ...piece, top: logprobs === 0 ? [] : [piece] };
  return { type: "text", text, logprobs: [entry] };
}

function textIn(content: LongText | readonly ContentBlock<LongText>[]): string {
  return isText(content)
    ? content.toString()
    : content.map((block) => block.type === "text" ? block.text : `[${block.type}]`).join("\n");
}

/** Rejects with the signal's reason when it fires; never settles otherwise. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Attachments, calls and tokens count as one word. */
async function countWords(
  { messages, prompt = [] }: Pick<GenerationRequest<LongText>, "messages" | "prompt">,
): Promise<number> {
  let words = 0;
  for (const part of [...messages.flatMap(({ content }) => partsOf(content)), ...prompt]) {
    words += isText(part) ? await countWordsIn(part.toString()) : 1;
  }
  return words;
}

/** The texts in a content, and `undefined` for what is no text. */
function partsOf(content: LongText | readonly ContentBlock<LongText>[]): (LongText | undefined)[] {
  if (isText(content)) return [content];
  return content.flatMap((block) => {
    if (block.type === "text" || block.type === "thinking") return [block.text];
    return block.type === "tool_result" ? partsOf(block.content) : [undefined];
  });
}

/** Counts in long texts in pieces: others are served in between. */
async function countWordsIn(text: string): Promise<number> {
  let words = 0;
  let isInWord = false;
  for (let at = 0; at < text.length; at += COUNTED_CHARACTERS) {
    if (at > 0) await turn();
    const piece = text.slice(at, at + COUNTED_CHARACTERS);
    words += wordsOf(piece).length - (isInWord && /^\S/.test(piece) ? 1 : 0);
    isInWord = /\S/.test(piece.slice(-1));
  }
  return words;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/\S+/g) ?? [];
}

/** Sum of one vector per word, so that texts with common words are similar. */
function vectorOf(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  for (const word of wordsOf(text)) {
    let hash = 0x811c9dc5;
    for (let at = 0; at < word.length; at++) hash = Math.imul(hash ^ word.charCodeAt(at), 0x01000193);
    for (let index = 0; index < dimensions; index++) {
      hash = Math.imul(hash ^ (hash >>> 15) ^ index, 0x2c1b3c6d);
      vector[index] = (vector[index] ?? 0) + hash / 2 ** 31;
    }
  }
  return vector;
}

/** The zero vector becomes the first unit vector. */
function toUnitLength(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector.map((_, index) => index === 0 ? 1 : 0) : vector.map((value) => value / length);
}
