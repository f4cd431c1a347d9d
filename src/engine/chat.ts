/**
 * From a conversation to the tokens of a prompt, as the model's own chat template has it, and what the answer to it
 * will look like.
 */
import type { ChatModelFunctions, LlamaText } from "node-llama-cpp";
import { type ChatMessage, type GenerationRequest, PLAIN, type Tool } from "../backend/backend.ts";
import { textsOf, toHistory } from "./chat_history.ts";
import { type AnswerEnds, type ChatLibrary, ChatTemplate } from "./chat_template.ts";
import type { ChatModel } from "./chat_tokens.ts";
import type { Dialect } from "./dialect.ts";
import type { ParserStart } from "./parser.ts";
import { commonPrefix } from "./slots.ts";

export type { ChatModel };

/** A conversation as tokens. */
export interface Prompt extends AnswerEnds {
  readonly tokens: Int32Array;
  /** What the prompt ends within. */
  readonly start: ParserStart;
  /** Control tokens that are part of the template's markers, as a parser sees them. */
  readonly controls: ReadonlyMap<number, string>;
}

/** What a prompt is made of. */
export type Conversation = Pick<GenerationRequest, "messages" | "tools" | "toolChoice" | "thinking">;

/** A conversation the model cannot take; the message is for the caller. */
export class PromptError extends Error {
  override readonly name = "PromptError";
}

/** Text longer than this is first measured in portions of this size, so that what cannot fit is refused early. */
const MEASURE_CHARACTERS = 16_384;

/** Renders conversations for one model. */
export class Chat {
  readonly #model: ChatModel;
  readonly #contextTokens: number;
  readonly #library: ChatLibrary;
  readonly #plain: ChatTemplate;
  #thoughtful: ChatTemplate | undefined;

  private constructor(model: ChatModel, contextTokens: number, library: ChatLibrary) {
    this.#model = model;
    this.#contextTokens = contextTokens;
    this.#library = library;
    this.#plain = new ChatTemplate(model, library, false);
  }

  /** Find the chat template of a model. */
  static async of(model: ChatModel, contextTokens: number): Promise<Chat> {
    return new Chat(model, contextTokens, await import("node-llama-cpp"));
  }

  /** Name of the template's family. */
  get family(): string {
    return this.#plain.wrapper.wrapperName;
  }

  /** Whether the template knows tools. */
  get tools(): boolean {
    return this.#plain.dialect.call !== undefined;
  }

  /** Whether the template knows thoughts. */
  get thinking(): boolean {
    return this.#plain.thinks;
  }

  /** How the template writes thoughts and calls. */
  dialect(thinking: boolean): Dialect {
    return this.#template(thinking).dialect;
  }

  /**
   * The prompt that asks for the next answer. If the conversation ends with an assistant's turn, for its continuation.
   *
   * @throws {PromptError} If it leaves no room for an answer, or has tools and the template knows none.
   * @throws {AttachmentError} If there is an attachment.
   */
  render({ messages, tools, toolChoice, thinking }: Conversation): Prompt {
    const offered = toolChoice === "none" ? [] : tools;
    if (offered.length > 0 && !this.tools) throw new PromptError("This model's chat template knows no tools");
    this.#refuseHopeless(messages, offered);
    const template = this.#template(thinking);
    const chatHistory = toHistory(messages);
    const state = template.wrapper.generateContextState({
      chatHistory,
      ...(offered.length === 0 ? {} : { availableFunctions: functionsOf(offered) }),
    });
    const turn = chatHistory.at(-1);
    const last = turn?.type === "model" ? turn.response.at(-1) : undefined;
    const { thought, channels } = template.dialect;
    let text = state.contextText;
    let start: ParserStart = "text";
    if (channels !== undefined) {
      if (state.prefixTriggers !== undefined) start = "header";
    } else if (thought !== undefined && typeof last !== "string" && (thought.opened || last && thought.reopened)) {
      start = "thought";
      const prefix = template.wrapper.settings.segments?.thought?.prefix;
      if (thought.open !== undefined) text = text.concat(prefix as LlamaText);
    } else if (template.noThought !== undefined && typeof last !== "string") {
      text = text.concat(template.noThought);
    }
    const tokens = this.#tokens(text, template);
    if (tokens.length >= this.#contextTokens) throw this.#tooLong(`${tokens.length}`);
    return { tokens, start, controls: template.tokens.controls, ...template.ends };
  }

  /** Made when it is needed first: that takes as long as some answers. */
  #template(thinking: boolean): ChatTemplate {
    if (!thinking || !this.#plain.thinks) return this.#plain;
    return this.#thoughtful ??= new ChatTemplate(this.#model, this.#library, true);
  }

  /**
   * What every prompt with this system message begins with.
   *
   * @throws {PromptError} If it leaves no room for an answer.
   */
  opening(system: string): Int32Array {
    const ask = (content: string): Int32Array =>
      this.render({ ...PLAIN, messages: [{ role: "system", content: system }, { role: "user", content }] }).tokens;
    const tokens = ask("0");
    return tokens.slice(0, commonPrefix(tokens, ask("A")));
  }

  #tokens(text: LlamaText, template: ChatTemplate): Int32Array {
    const tokens: number[] = text.tokenize(template.tokens.tokenizer);
    const { BOS } = this.#model.named;
    if (this.#model.addsBos && BOS >= 0 && tokens[0] !== BOS) tokens.unshift(BOS);
    return Int32Array.from(tokens);
  }

  /** Every message takes a token at least, and so do so many bytes: cheap to see, however much was sent. */
  #refuseHopeless(messages: readonly ChatMessage[], tools: readonly Tool[]): void {
    let tokens = messages.length;
    const texts = messages.flatMap(textsOf);
    for (const { name, description, inputSchema } of tools) texts.push(name, description, JSON.stringify(inputSchema));
    for (const text of texts) tokens += Math.floor(text.length / this.#model.longestPiece);
    if (tokens >= this.#contextTokens) throw this.#tooLong(`more than ${tokens}`);
    tokens = 0;
    for (const text of texts) {
      if (text.length <= MEASURE_CHARACTERS) continue;
      for (let at = 0; at < text.length; at += MEASURE_CHARACTERS) {
        // A cut adds a token at most.
        tokens += this.#model.tokenize(text.slice(at, at + MEASURE_CHARACTERS), false).length - 1;
        if (tokens >= this.#contextTokens) throw this.#tooLong(`more than ${tokens}`);
      }
    }
  }

  #tooLong(tokens: string): PromptError {
    return new PromptError(
      `The prompt has ${tokens} tokens; prompt and answer together may have ${this.#contextTokens}`,
    );
  }
}

function functionsOf(tools: readonly Tool[]): ChatModelFunctions {
  return Object.fromEntries(
    tools.map(({ name, description, inputSchema }) => [name, { description, params: inputSchema }]),
  ) as ChatModelFunctions;
}
