/**
 * A model's chat template in one of its two moods: with thinking, or asked for none. Finds the chat wrapper that fits
 * the template, and what it says about thoughts, calls and the end of an answer.
 */
import type { ChatWrapper, GgufFileInfo, LlamaText, resolveChatWrapper } from "node-llama-cpp";
import { type ChatModel, ChatTokens } from "./chat_tokens.ts";
import { type Dialect, dialectOf, textOf } from "./dialect.ts";
import { withControlNames } from "./text.ts";

/** The library, which is imported when it is needed first. */
export type ChatLibrary = typeof import("node-llama-cpp");

/** What ends an answer. */
export interface AnswerEnds {
  /** Tokens that end it beside those that always do. */
  readonly endTokens: ReadonlySet<number>;
  /** Texts that do, for models whose marker is not a token. */
  readonly endTexts: readonly string[];
}

/** Where a model's file has its template. */
const TEMPLATE = "tokenizer.chat_template";
/** What Gemma writes around a string within a call. */
const GEMMA_QUOTE = '<|"|>';

/** A template in one mood. */
export class ChatTemplate {
  readonly wrapper: ChatWrapper;
  readonly tokens: ChatTokens;
  readonly dialect: Dialect;
  readonly ends: AnswerEnds;
  /** The model knows what a thought is. */
  readonly thinks: boolean;
  /** Begins an answer without a thought, where the wrapper leaves that to us. */
  readonly noThought: LlamaText | undefined;

  constructor(model: ChatModel, library: ChatLibrary, thinking: boolean) {
    this.tokens = new ChatTokens(model);
    this.wrapper = corrected(wrapperOf(model, { tokens: this.tokens, library, thinking }), library);
    this.ends = this.#findEnds();
    const toText = (value: string | LlamaText): LlamaText => library.LlamaText(value);
    const read = this.tokens.markerReader(
      toText,
      (token) => model.endsAnswer(token) || this.ends.endTokens.has(token),
    );
    const { settings } = this.wrapper;
    this.dialect = dialectOf(settings, {
      read,
      calls: settings.functions !== library.ChatWrapper.defaultSettings.functions,
    });
    // Seen, so that a user who writes them writes text.
    for (const marker of [settings.functions.result.prefix, settings.functions.result.suffix]) read(marker);
    const quote = this.dialect.call?.braced ? this.tokens.named(GEMMA_QUOTE) : undefined;
    if (quote !== undefined) this.tokens.see(quote);
    const { thought } = this.dialect;
    const template = model.metadata.get(TEMPLATE) ?? "";
    this.thinks = thought !== undefined &&
      (thought.open === undefined || typeof thought.open[0] === "object" || template.includes(textOf(thought.open)));
    const noThought =
      thinking || thought?.open === undefined || !(this.wrapper instanceof library.JinjaTemplateChatWrapper)
        ? undefined
        : emptyThought(template, { open: textOf(thought.open), close: textOf(thought.close) });
    this.noThought = noThought === undefined ? undefined : library.LlamaText(new library.SpecialTokensText(noThought));
  }

  #findEnds(): AnswerEnds {
    const endTokens = new Set<number>();
    const endTexts: string[] = [];
    const { stopGenerationTriggers } = this.wrapper.generateContextState({
      chatHistory: [{ type: "user", text: "Hi" }, { type: "model", response: [] }],
    });
    for (const trigger of stopGenerationTriggers) {
      const [only, ...others] = trigger.values;
      if (others.length > 0 || only === undefined) continue;
      if (typeof only === "string") {
        endTexts.push(only);
        continue;
      }
      const tokens = only.tokenize(this.tokens.tokenizer);
      if (tokens.length === 1) endTokens.add(tokens[0] as number);
    }
    return { endTokens, endTexts };
  }
}

/** The wrapper that fits the model's template, asked for no thinking where it can be asked. */
function wrapperOf(
  model: ChatModel,
  { tokens, library, thinking }: {
    readonly tokens: ChatTokens;
    readonly library: ChatLibrary;
    readonly thinking: boolean;
  },
): ChatWrapper {
  const { tokenizer } = tokens;
  const template = model.metadata.get(TEMPLATE) ?? "";
  const qwen = {
    // An empty thought is nothing to a model that knows none.
    thoughts: thinking || !template.includes("<think>") ? "auto" : "discourage",
    // Text that a tool returned stays as it is: the templates do not quote it.
    _flatFunctionResultString: true,
  } as const;
  const fileInfo = { metadata: nested(model.metadata) } as unknown as GgufFileInfo;
  const options: Parameters<typeof resolveChatWrapper>[0] = {
    fileInfo,
    tokenizer,
    warningLogs: false,
    customWrapperSettings: thinking
      ? {
        qwen,
        gemma4: { reasoning: true },
        harmony: { reasoningEffort: "medium" },
        muse: { reasoningStrength: "high" },
      }
      : {
        qwen,
        gemma4: { reasoning: false },
        harmony: { reasoningEffort: "low" },
        seed: { thinkingBudget: 0 },
        muse: { reasoningStrength: "low" },
      },
  };
  if (model.named.BOS >= 0) options.bosString = model.describe(model.named.BOS);
  const wrapper = library.resolveChatWrapper(options) ?? new library.GeneralChatWrapper();
  if (wrapper instanceof library.ChatMLChatWrapper && writesHermesCalls(model)) {
    return new library.QwenChatWrapper(qwen);
  }
  if (wrapper instanceof library.Llama3_1ChatWrapper && template.includes('"parameters": ')) {
    // It asks for calls in a notation of its own; the template has them as the small models' has.
    return new library.Llama3_2LightweightChatWrapper();
  }
  if (!(wrapper instanceof library.JinjaTemplateChatWrapper)) return wrapper;
  return new library.JinjaTemplateChatWrapper({
    template: wrapper.template,
    tokenizer,
    reasoning: thinking,
    additionalRenderParameters: { enable_thinking: thinking },
  });
}

/** The wrapper, where its settings say something else than the template it stands for. */
function corrected(wrapper: ChatWrapper, library: ChatLibrary): ChatWrapper {
  const special = (text: string): LlamaText => library.LlamaText(new library.SpecialTokensText(text));
  const { functions } = wrapper.settings;
  let changed: Partial<typeof functions>;
  if (wrapper instanceof library.Llama3_2LightweightChatWrapper) {
    // The call has ended the turn already.
    changed = { result: { ...functions.result, prefix: special("<|start_header_id|>ipython<|end_header_id|>\n\n") } };
  } else if (wrapper instanceof library.Gemma4ChatWrapper) {
    const prefix = library.LlamaText([special("<|tool_response>response:"), "{{functionName}}", "{"]);
    // Results follow all calls, and are marked by tokens.
    changed = {
      result: { prefix, suffix: special("}<tool_response|>") },
      parallelism: { call: { sectionPrefix: "" } },
    };
  } else {
    return wrapper;
  }
  return Object.assign(wrapper, { settings: { ...wrapper.settings, functions: { ...functions, ...changed } } });
}

/**
 * Whether a ChatML model calls as Hermes does, which is Qwen's way too. Its template for tools stands beside the usual
 * one or cannot be rendered without tools, so that no wrapper is found for it.
 */
function writesHermesCalls({ metadata }: ChatModel): boolean {
  return [TEMPLATE, `${TEMPLATE}.tool_use`].some((key) => {
    const template = metadata.get(key) ?? "";
    return template.includes("<tool_call>") && template.includes('"arguments": ');
  });
}

/**
 * What a template writes at the beginning of an answer when it is told not to think. The wrapper renders the template
 * without that beginning, so it is read from the template's text.
 */
function emptyThought(template: string, { open, close }: { open: string; close: string }): string | undefined {
  const [begin, end] = [open, close].map((text) => withControlNames(text).replace(/[^\w\s<>]/g, "\\$&"));
  const found = new RegExp(`${begin}(?:\\\\n|\\s)*${end}(?:\\\\n)*`).exec(template)?.[0];
  return found === undefined || !template.includes("enable_thinking") ? undefined : found.replaceAll("\\n", "\n");
}

/** `a.b.c` keys as objects in objects; of `a` and `a.b` only `a`. */
function nested(metadata: ReadonlyMap<string, string>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [key, value] of metadata) {
    const path = key.split(".");
    const last = path.pop() as string;
    let at = root;
    let begin = "";
    if (path.some((name) => metadata.has(begin = begin === "" ? name : `${begin}.${name}`))) continue;
    for (const name of path) at = (at[name] ??= {}) as Record<string, unknown>;
    at[last] = value;
  }
  return root;
}
