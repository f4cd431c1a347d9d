/**
 * Renders a conversation to prompt tokens with the model's own chat template, and reports how the model will format its
 * answer. A template is analysed once, when the model is loaded.
 */
import {
  type ChatMessage,
  type Conversation,
  type GenerationRequest,
  PLAIN,
  type Tool,
} from "../../inference/request.ts";
import { importChatLibrary, type LoadChatLibrary } from "./render/chat_library.ts";
import { type Rendered, TemplateError } from "../jinja/template.ts";
import { callTraitsOf } from "./probe/call_form.ts";
import { channelsOf } from "./probe/channels.ts";
import type { CallForm, Dialect, ParserStart } from "./dialect/dialect.ts";
import { familyCalls } from "./probe/family_calls.ts";
import { guardedTokens } from "./render/guarded.ts";
import { seenAs, type SpecialTokens, textOf } from "./dialect/marker.ts";
import { type MessageForm, textsOf, type Turn, turnsOf, USUAL_FORM } from "./render/messages.ts";
import { callsIn } from "../../inference/call_ids.ts";
import { defined } from "../../inference/objects.ts";
import { type PromptSize, tooLongMessage } from "../../inference/prompt_size.ts";
import { type InfillParts, infillTokens } from "./render/infill_prompt.ts";
import { promptTokens, type TokenizingModel, verbatimTokens } from "./render/prompt_tokens.ts";
import { finish, type Work } from "../../work/work.ts";
import { type Renderer, renderJoined } from "./render/renderer.ts";
import { commonPrefix } from "./probe/prober.ts";
import type { Mood } from "./probe/thinking_switch.ts";
import type { Traits } from "./probe/traits.ts";
import { WrapperRenderer } from "./render/wrapper.ts";
import {
  allSources,
  type ChatFormat,
  type ChatModel,
  chooseFormat,
  type Chosen,
  proberOf,
  type TemplateFault,
} from "./chat_format.ts";
import { withControlNames } from "./dialect/control_text.ts";

/** Stop conditions of an answer. */
export interface AnswerEnds {
  /** End tokens in addition to the vocabulary's own. */
  readonly endTokens: ReadonlySet<number>;
  /** End strings, for models whose end marker is not a single token. */
  readonly endTexts: readonly string[];
}

export interface Prompt extends AnswerEnds {
  readonly tokens: Int32Array;
  /** Section of the answer that the prompt leaves open. */
  readonly start: ParserStart;
  /** Special tokens, as the parser sees them. */
  readonly controls: ReadonlyMap<number, string>;
}

/** The model cannot take this conversation; the message is for the caller. */
export class PromptError extends Error {
  override readonly name: string = "PromptError";
}

/** The prompt leaves no room for an answer. */
export class PromptTooLongError extends PromptError {
  override readonly name = "PromptTooLongError";
  readonly size: PromptSize;

  constructor(size: PromptSize, isLeast: boolean) {
    super(tooLongMessage(size, isLeast));
    this.size = size;
  }
}

/** Longer texts are tokenized in chunks first, so that a prompt that cannot fit is rejected early. */
const MEASURED_CHARACTERS = 16_384;
const PORTION_CHARACTERS = 2048;
/** Characters that are invalid in a Python identifier or a TypeScript name. */
const IDENTIFIER = /[^A-Za-z0-9_.]/g;
const TYPE_NAME = /[^A-Za-z0-9_-]/g;

export class Chat {
  readonly #model: ChatModel;
  readonly #contextTokens: number;
  readonly #renderer: Renderer | undefined;
  readonly #traits: Traits | undefined;
  readonly #form: MessageForm;
  readonly #ends: AnswerEnds;
  readonly #controls: ReadonlyMap<number, string>;
  readonly #guarded: SpecialTokens;
  /** Format of prompts: the model's own template or a substitute. */
  readonly format: ChatFormat;
  /** Why the model's own template is not used. */
  readonly fault: TemplateFault | undefined;
  /** How the model family writes thoughts, text and calls. */
  readonly dialect: Dialect;

  private constructor(model: ChatModel, contextTokens: number, { renderer, traits, format, fault }: Chosen) {
    this.#model = model;
    this.#contextTokens = contextTokens;
    this.#renderer = renderer;
    this.#traits = traits;
    this.format = format;
    this.fault = fault;
    const source = renderer?.source ?? "";
    this.#guarded = guardedTokens(model.specialTokens, allSources(model));
    this.#controls = new Map([...this.#guarded.values()].map((special) => [special.token, seenAs(special)]));
    const writesCalls = format !== "chatml" && (!(renderer instanceof WrapperRenderer) || renderer.calls);
    const calls = renderer === undefined || traits === undefined || !writesCalls
      ? undefined
      : callTraitsOf(proberOf(model, renderer, this.#guarded), traits);
    this.#form = calls?.form ?? traits?.form ?? USUAL_FORM;
    const call = calls?.call ?? (format === "template" ? familyCalls(source, this.#guarded) : undefined);
    this.dialect = dialectOf(traits, call, this.#guarded);
    const wrapperEnds = renderer instanceof WrapperRenderer ? renderer.ends : [];
    this.#ends = this.#endsOf([...traits?.ends ?? [], ...calls?.ends ?? [], ...wrapperEnds]);
  }

  /**
   * Choose the renderer for a model's conversations.
   *
   * @param contextTokens Context size shared by prompt and answer.
   * @param loadLibrary Loads node-llama-cpp; called only for a model without a chat template.
   */
  static async of(
    model: ChatModel,
    contextTokens: number,
    loadLibrary: LoadChatLibrary = importChatLibrary,
  ): Promise<Chat> {
    return new Chat(model, contextTokens, await chooseFormat(model, loadLibrary));
  }

  /** Whether the model family supports tool calls. */
  get tools(): boolean {
    return this.dialect.call !== undefined;
  }

  /** Whether the model family supports reasoning traces. */
  get thinking(): boolean {
    return this.dialect.thought !== undefined;
  }

  /**
   * Prompt for the next answer, or for the continuation of a trailing assistant message.
   *
   * @throws {PromptError} If it leaves no room for an answer, the template does not support tools, or it rejects the
   * conversation.
   * @throws {AttachmentError} If there is an attachment.
   */
  prompt(conversation: Conversation): Work<Prompt> {
    return this.#prompt(conversation, this.#model);
  }

  /**
   * Prompt that the model continues as it is, with plain text.
   *
   * @param filling The text after the answer, which is open without one, and texts of other places. With these, even if
   * there are none, the prompt is cut to leave room for `maxTokens` of the answer, or for a quarter of the context.
   * @throws {PromptError} If it leaves no room for an answer, or the model cannot fill in text.
   */
  *verbatim(
    parts: readonly (string | number)[],
    filling: Partial<Pick<GenerationRequest, "suffix" | "extra" | "maxTokens">> = {},
  ): Work<Prompt> {
    const { suffix, extra, maxTokens = 0 } = filling;
    const texts = [...parts, suffix ?? ""].filter((part) => typeof part === "string" && part !== "") as string[];
    if (extra === undefined) yield* this.#refuseHopeless(texts.map((content) => ({ role: "user", content })), []);
    const options = { model: this.#model, guarded: this.#guarded };
    const room = this.#contextTokens - Math.min(maxTokens, Math.ceil(this.#contextTokens / 4));
    const tokens = suffix === undefined
      ? yield* verbatimTokens(parts, options)
      : yield* this.#between({ before: parts, after: suffix, extra }, room);
    if (tokens.length >= this.#contextTokens) throw this.#tooLong(tokens.length);
    return { tokens, start: "text", controls: this.#controls, endTokens: this.#ends.endTokens, endTexts: [] };
  }

  *#between(parts: InfillParts, room: number): Work<Int32Array> {
    const { infill } = this.#model;
    if (infill === undefined) {
      throw new PromptError('"suffix" needs a model with tokens to fill in text, this one has none');
    }
    return yield* infillTokens(parts, { model: this.#model, infill, room });
  }

  /**
   * Synchronous {@linkcode Chat.prompt}.
   *
   * @throws As {@linkcode Chat.prompt}.
   */
  render(conversation: Conversation): Prompt {
    const { named, addsBos, spacePrefix } = this.#model;
    const tokenize: TokenizingModel["tokenize"] = (text, special) => this.#model.tokenize(text, special);
    return finish(this.#prompt(conversation, { named, addsBos, spacePrefix, tokenize }));
  }

  /**
   * Token count of the prompt, even if it leaves no room for an answer.
   *
   * @throws {PromptError} If the template does not support tools, or it rejects the conversation.
   */
  *count(conversation: Conversation): Work<number> {
    const { rendered } = yield* this.#rendered(conversation, this.#offered(conversation));
    yield;
    return (yield* promptTokens(rendered, { model: this.#model, guarded: this.#guarded })).length;
  }

  *#prompt(conversation: Conversation, model: TokenizingModel): Work<Prompt> {
    const offered = this.#offered(conversation);
    yield* this.#refuseHopeless(conversation.messages, offered);
    const { rendered, begun } = yield* this.#rendered(conversation, offered);
    yield;
    const tokens = yield* promptTokens(rendered, { model, guarded: this.#guarded });
    if (tokens.length >= this.#contextTokens) throw this.#tooLong(tokens.length);
    return {
      tokens,
      start: begun ?? this.#startOf(rendered),
      controls: this.#controls,
      ...this.#ends,
    };
  }

  /**
   * Prompt text, with the ranges that came from the request: what the template makes of it, also where it ignores tools
   * and no answer would be generated for that reason.
   *
   * @throws {PromptError} If the template rejects the conversation.
   */
  text(conversation: Conversation): Rendered {
    return finish(this.textInPieces(conversation));
  }

  /**
   * Time-sliced {@linkcode Chat.text}.
   *
   * @throws As {@linkcode Chat.text}.
   */
  *textInPieces(conversation: Conversation): Work<Rendered> {
    return (yield* this.#rendered(conversation, toolsOf(conversation))).rendered;
  }

  #offered(conversation: Conversation): readonly Tool[] {
    const offered = toolsOf(conversation);
    if (offered.length > 0 && !this.tools) throw new PromptError("This model's chat template does not support tools");
    return offered;
  }

  /** Both forms a parser may see a text in: verbatim, and with special token names as tokens. */
  seen(text: string): string[] {
    const marked = textOf(this.#guarded.marker(text));
    return marked === text ? [text] : [text, marked];
  }

  /**
   * Common token prefix of every prompt with this system message.
   *
   * @throws {PromptError} If it leaves no room for an answer.
   */
  opening(system: string): Int32Array {
    const ask = (content: string): Int32Array =>
      this.render({ ...PLAIN, messages: [{ role: "system", content: system }, { role: "user", content }] }).tokens;
    const tokens = ask("0");
    return tokens.slice(0, commonPrefix(tokens, ask("A")));
  }

  *#rendered(
    conversation: Conversation,
    tools: readonly Tool[],
  ): Work<{ readonly rendered: Rendered; readonly begun?: ParserStart }> {
    const renderer = this.#renderer;
    if (renderer === undefined || this.#traits === undefined) {
      const { message, line } = this.fault ?? { message: "there is none", line: 0 };
      throw new PromptError(`This model's chat template cannot be evaluated (line ${line}): ${message}`);
    }
    const { messages, thinking, generationPrompt, templateVariables: given } = conversation;
    const names = this.names(conversation);
    const rename = (name: string): string => names.get(name) ?? name;
    const mood = this.#traits.switches[thinking ? "on" : "off"];
    const turns = inMood(turnsOf(messages, rename), mood);
    const last = turns.at(-1);
    const isContinued = last?.role === "assistant" && generationPrompt === undefined;
    const begun = isContinued ? this.#begunIn(last) : undefined;
    const isEmpty = isContinued && begun === undefined && last.calls === undefined;
    const asked = isEmpty ? turns.slice(0, -1) : turns;
    try {
      const rendered = yield* renderJoined(renderer, {
        turns: asked,
        tools,
        form: this.#form,
        prompt: generationPrompt ?? begun === undefined,
        variables: mood.variables,
        ...(given === undefined ? {} : { given }),
        rename,
      });
      return begun === undefined ? { rendered } : { rendered: cutAfterInput(rendered), begun };
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      const where = error.raised ? "" : ` (line ${error.line})`;
      throw new PromptError(`The model's chat template refuses this conversation${where}: ${error.message}`);
    }
  }

  /** Which section of a partial assistant message is to be continued. */
  #begunIn({ text, thinking }: Turn): ParserStart | undefined {
    if (text !== "") return "text";
    return thinking !== undefined && this.#form.thoughts !== undefined ? "thought" : undefined;
  }

  /** Section of the answer that the prompt leaves open. */
  #startOf({ text, input }: Rendered): ParserStart {
    const { thought, channels } = this.dialect;
    if (channels !== undefined) return "header";
    if (thought?.open === undefined) return "text";
    const end = text.slice(input.at(-1) ?? 0).trimEnd();
    return end.endsWith(withControlNames(textOf(thought.open)).trimEnd()) ? "thought" : "text";
  }

  /** Replacements for tool names that the call syntax cannot express; deterministic. */
  names({ messages, tools }: Pick<Conversation, "messages" | "tools">): ReadonlyMap<string, string> {
    const names = new Map<string, string>();
    const { call, channels } = this.dialect;
    const pattern = channels !== undefined ? TYPE_NAME : call?.arguments.type === "python" ? IDENTIFIER : undefined;
    if (pattern === undefined) return names;
    const taken = new Set(tools.map(({ name }) => name));
    for (const name of new Set([...tools, ...callsIn(messages)].map(({ name }) => name))) {
      const base = name.replace(pattern, "_");
      if (base === name) continue;
      let written = base;
      for (let count = 2; taken.has(written); count++) written = `${base}_${count}`;
      taken.add(written);
      names.set(name, written);
    }
    return names;
  }

  #endsOf(ends: readonly string[]): AnswerEnds {
    const endTokens = new Set<number>();
    const endTexts: string[] = [];
    const begins = this.dialect.call === undefined ? "" : textOf(this.dialect.call.marker);
    for (const end of new Set(ends)) {
      const special = this.#guarded.get(end);
      if (special === undefined) endTexts.push(end);
      // The opening token of a call ends an answer only if no call follows.
      else if (begins !== seenAs(special) && begins.startsWith(seenAs(special))) endTexts.push(seenAs(special));
      else endTokens.add(special.token);
    }
    return { endTokens, endTexts };
  }

  /** Cheap lower bound of the token count: one per message, plus text length divided by the longest token's length. */
  *#refuseHopeless(messages: readonly ChatMessage[], tools: readonly Tool[]): Work<void> {
    let tokens = messages.length;
    // Templates render thoughts only since the last question, if at all.
    const shown = this.#form.thoughts === undefined
      ? Infinity
      : messages.findLastIndex(({ role, content }) => role === "user" && typeof content === "string");
    const texts = messages.flatMap((message, index) => textsOf(message, index > shown));
    for (const { name, description, inputSchema } of tools) {
      texts.push(name, description, JSON.stringify(inputSchema));
      yield;
    }
    for (const text of texts) tokens += Math.floor(text.length / this.#model.longestPiece);
    if (tokens >= this.#contextTokens) throw this.#tooLong(tokens, true);
    tokens = 0;
    for (const text of texts) {
      if (text.length <= MEASURED_CHARACTERS) continue;
      for (let at = 0; at < text.length; at += PORTION_CHARACTERS) {
        // A cut adds at most one token.
        tokens += this.#model.tokenize(text.slice(at, at + PORTION_CHARACTERS), false).length - 1;
        if (tokens >= this.#contextTokens) throw this.#tooLong(tokens, true);
        yield;
      }
    }
  }

  #tooLong(promptTokens: number, isLeast = false): PromptTooLongError {
    return new PromptTooLongError({ promptTokens, contextTokens: this.#contextTokens }, isLeast);
  }
}

function dialectOf(traits: Traits | undefined, call: CallForm | undefined, specials: SpecialTokens): Dialect {
  if (traits === undefined) return {};
  const channels = channelsOf(traits, specials);
  return defined({ thought: traits.thought, text: traits.text, call, channels });
}

/** Appends the thinking switch to the system message, for templates that look for it there. */
function inMood(turns: Turn[], { system }: Mood): Turn[] {
  if (system === undefined) return turns;
  const [first, ...others] = turns;
  if (first?.role !== "system") return [{ role: "system", text: system }, ...turns];
  return [{ ...first, text: `${first.text}\n${system}` }, ...others];
}

function cutAfterInput({ text, input }: Rendered): Rendered {
  return { text: text.slice(0, input.at(-1) ?? text.length), input };
}

function toolsOf({ tools, toolChoice }: Conversation): readonly Tool[] {
  return toolChoice === "none" ? [] : tools;
}
