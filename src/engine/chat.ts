/**
 * From a conversation to the tokens of a prompt, as the model's own chat template has it. What users wrote never
 * becomes a control token. The only file that imports node-llama-cpp.
 */
import type { ChatMessage } from "../backend/backend.ts";
import type { Model } from "./model.ts";
import type {
  ChatHistoryItem,
  ChatWrapper,
  GgufFileInfo,
  LlamaText,
  resolveChatWrapper,
  Token,
  Tokenizer,
} from "node-llama-cpp";

/** A conversation as tokens. */
export interface Prompt {
  readonly tokens: Int32Array;
  /** Tokens that end the answer. */
  readonly endTokens: ReadonlySet<number>;
  /** Texts that end the answer, for models whose marker is not a token. */
  readonly endTexts: readonly string[];
}

/** A conversation the model has no room for; the message is for the caller. */
export class PromptError extends Error {
  override readonly name = "PromptError";
}

/** What a chat needs of a model. */
export type ChatModel = Pick<
  Model,
  | "metadata"
  | "named"
  | "addsBos"
  | "spacePrefix"
  | "longestPiece"
  | "tokenize"
  | "piece"
  | "describe"
  | "isControl"
  | "endsAnswer"
>;

/** Text longer than this is first measured in portions of this size, so that what cannot fit is refused early. */
const MEASURE_CHARACTERS = 16_384;

/** Renders conversations for one model. */
export class Chat {
  readonly #model: ChatModel;
  readonly #wrapper: ChatWrapper;
  readonly #tokenizer: Tokenizer;
  readonly #contextTokens: number;
  #ends: Pick<Prompt, "endTokens" | "endTexts"> | undefined;

  private constructor(model: ChatModel, contextTokens: number, library: typeof import("node-llama-cpp")) {
    this.#model = model;
    this.#contextTokens = contextTokens;
    this.#tokenizer = tokenizerOf(model);
    this.#wrapper = wrapperOf(model, this.#tokenizer, library);
  }

  /** Find the chat template of a model. */
  static async of(model: ChatModel, contextTokens: number): Promise<Chat> {
    return new Chat(model, contextTokens, await import("node-llama-cpp"));
  }

  /** Name of the template's family. */
  get family(): string {
    return this.#wrapper.wrapperName;
  }

  /**
   * The prompt that asks for the next answer. If the conversation ends with an assistant's turn, for its continuation.
   *
   * @throws {PromptError} If it leaves no room for an answer.
   */
  render(messages: readonly ChatMessage[]): Prompt {
    this.#refuseHopeless(messages);
    const chatHistory = messages.map(toHistoryItem);
    if (chatHistory.at(-1)?.type !== "model") chatHistory.push({ type: "model", response: [] });
    const { contextText, stopGenerationTriggers } = this.#wrapper.generateContextState({ chatHistory });
    const tokens = this.#tokens(contextText);
    if (tokens.length >= this.#contextTokens) throw this.#tooLong(`${tokens.length}`);
    this.#ends ??= this.#endsOf(stopGenerationTriggers);
    return { tokens, ...this.#ends };
  }

  #tokens(text: LlamaText): Int32Array {
    const tokens: number[] = text.tokenize(this.#tokenizer);
    const { BOS } = this.#model.named;
    if (this.#model.addsBos && BOS >= 0 && tokens[0] !== BOS) tokens.unshift(BOS);
    return Int32Array.from(tokens);
  }

  /** Every message takes a token at least, and so do so many bytes: cheap to see, however much was sent. */
  #refuseHopeless(messages: readonly ChatMessage[]): void {
    let tokens = messages.length;
    for (const { content } of messages) tokens += Math.floor(content.length / this.#model.longestPiece);
    if (tokens >= this.#contextTokens) throw this.#tooLong(`more than ${tokens}`);
    tokens = 0;
    for (const { content } of messages) {
      if (content.length <= MEASURE_CHARACTERS) continue;
      for (let at = 0; at < content.length; at += MEASURE_CHARACTERS) {
        // A cut adds a token at most.
        tokens += this.#model.tokenize(content.slice(at, at + MEASURE_CHARACTERS), false).length - 1;
        if (tokens >= this.#contextTokens) throw this.#tooLong(`more than ${tokens}`);
      }
    }
  }

  #tooLong(tokens: string): PromptError {
    return new PromptError(
      `The prompt has ${tokens} tokens; prompt and answer together may have ${this.#contextTokens}`,
    );
  }

  #endsOf(triggers: readonly LlamaText[]): Pick<Prompt, "endTokens" | "endTexts"> {
    const endTokens = new Set<number>();
    const endTexts: string[] = [];
    for (const trigger of triggers) {
      const [only, ...others] = trigger.values;
      if (others.length > 0 || only === undefined) continue;
      if (typeof only === "string") {
        endTexts.push(only);
        continue;
      }
      const tokens = only.tokenize(this.#tokenizer);
      if (tokens.length === 1) endTokens.add(tokens[0] as number);
    }
    return { endTokens, endTexts };
  }
}

function toHistoryItem({ role, content }: ChatMessage): ChatHistoryItem {
  if (role === "assistant") return { type: "model", response: [content] };
  return { type: role, text: content };
}

/** What node-llama-cpp knows as a tokenizer, on our model. */
function tokenizerOf(model: ChatModel): Tokenizer {
  const bos = wantsBos(model);
  const tokenize = (text: string, special?: boolean | "builtin", option?: "trimLeadingSpace"): number[] => {
    if (special === "builtin") {
      const token = model.named[text as keyof typeof model.named];
      return token < 0 || text === "BOS" && !bos ? [] : [token];
    }
    return Array.from(
      option === "trimLeadingSpace" && model.spacePrefix
        ? tokenizeWithoutSpace(model, text, special === true)
        : model.tokenize(text, special === true),
    );
  };
  const decoder = new TextDecoder();
  return Object.assign(tokenize, {
    detokenize: (tokens: readonly Token[], special = false): string =>
      tokens.map((token) => special ? model.describe(token) : decoder.decode(model.piece(token))).join(""),
    isSpecialToken: (token: Token): boolean => model.isControl(token),
    isEogToken: (token: Token): boolean => model.endsAnswer(token),
  }) as unknown as Tokenizer;
}

/** Some wrappers begin every prompt with this token, also where neither the model nor its template does. */
function wantsBos(model: ChatModel): boolean {
  const { addsBos, metadata, named } = model;
  const template = metadata.get("tokenizer.chat_template") ?? "";
  return addsBos || template.includes("bos_token") || (named.BOS >= 0 && template.includes(model.describe(named.BOS)));
}

/** Such a vocabulary puts a space before every text; after a line break it does not show. */
function tokenizeWithoutSpace(model: ChatModel, text: string, special: boolean): Int32Array {
  const before = model.tokenize("\n", special);
  const tokens = model.tokenize("\n" + text, special);
  return before.every((token, i) => tokens[i] === token) ? tokens.slice(before.length) : model.tokenize(text, special);
}

/** The wrapper that fits the model's template, asked for no thinking where it can be asked. */
function wrapperOf(model: ChatModel, tokenizer: Tokenizer, library: typeof import("node-llama-cpp")): ChatWrapper {
  const fileInfo = { metadata: nested(model.metadata) } as unknown as GgufFileInfo;
  const options: Parameters<typeof resolveChatWrapper>[0] = {
    fileInfo,
    tokenizer,
    warningLogs: false,
    customWrapperSettings: {
      qwen: { thoughts: "discourage" },
      gemma4: { reasoning: false },
      harmony: { reasoningEffort: "low" },
      seed: { thinkingBudget: 0 },
      muse: { reasoningStrength: "low" },
    },
  };
  if (model.named.BOS >= 0) options.bosString = model.describe(model.named.BOS);
  const wrapper = library.resolveChatWrapper(options) ?? new library.GeneralChatWrapper();
  if (!(wrapper instanceof library.JinjaTemplateChatWrapper)) return wrapper;
  return new library.JinjaTemplateChatWrapper({
    template: wrapper.template,
    tokenizer,
    reasoning: false,
    additionalRenderParameters: { enable_thinking: false },
  });
}

/** `a.b.c` keys as objects in objects. */
function nested(metadata: ReadonlyMap<string, string>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [key, value] of metadata) {
    const path = key.split(".");
    const last = path.pop() as string;
    let at = root;
    for (const name of path) {
      if (typeof at[name] !== "object") at[name] = {};
      at = at[name] as Record<string, unknown>;
    }
    at[last] = value;
  }
  return root;
}
