/**
 * Renders with node-llama-cpp's chat wrapper, for models without a chat template. The library is imported only for
 * those.
 */
import type {
  ChatHistoryItem,
  ChatModelFunctions,
  ChatModelResponse,
  ChatWrapper,
  GgufFileInfo,
  LlamaText,
} from "node-llama-cpp";
import type { LoadChatLibrary } from "./chat_library.ts";
import type { Rendered } from "../../jinja/template.ts";
import type { Renderer, Rendering } from "./renderer.ts";
import type { Turn } from "./messages.ts";

export interface WrappedModel {
  readonly metadata: ReadonlyMap<string, string>;
  readonly bos: string;
  readonly eos: string;
}

/** Renders with node-llama-cpp's wrapper for a model family. */
export class WrapperRenderer implements Renderer {
  readonly #wrapper: ChatWrapper;
  readonly #model: WrappedModel;
  readonly source = "";
  /** Whether the family has its own call syntax rather than the library's default. */
  readonly calls: boolean;

  private constructor(wrapper: ChatWrapper, model: WrappedModel, calls: boolean) {
    this.#wrapper = wrapper;
    this.#model = model;
    this.calls = calls;
  }

  /** Choose the wrapper for a model; the general one if its metadata do not identify the family. */
  static async for(model: WrappedModel, loadLibrary: LoadChatLibrary): Promise<WrapperRenderer> {
    const library = await loadLibrary();
    const fileInfo = { metadata: nested(model.metadata) } as unknown as GgufFileInfo;
    const wrapper = library.resolveChatWrapper({ fileInfo, bosString: model.bos, warningLogs: false }) ??
      new library.GeneralChatWrapper();
    const calls = wrapper.settings.functions !== library.ChatWrapper.defaultSettings.functions;
    return new WrapperRenderer(wrapper, model, calls);
  }

  /** The library's name for the wrapper. */
  get name(): string {
    return this.#wrapper.wrapperName;
  }

  /** Strings that end an answer. */
  get ends(): readonly string[] {
    const { stopGenerationTriggers } = this.#wrapper.generateContextState({
      chatHistory: [{ type: "user", text: "Hi" }, { type: "model", response: [] }],
    });
    return stopGenerationTriggers.map((trigger) => this.#text(trigger).text).filter((text) => text !== "");
  }

  render({ turns, tools = [], prompt, rename = (name) => name }: Rendering): Rendered {
    const chatHistory = historyOf(turns);
    if (prompt && chatHistory.at(-1)?.type !== "model") chatHistory.push({ type: "model", response: [] });
    const functions = Object.fromEntries(
      tools.map(({ name, description, inputSchema }) => [rename(name), { description, params: inputSchema }]),
    ) as ChatModelFunctions;
    const { contextText } = this.#wrapper.generateContextState({
      chatHistory,
      ...(tools.length === 0 ? {} : { availableFunctions: functions }),
    });
    return this.#text(contextText);
  }

  /** Plain strings come from the conversation, everything else from the wrapper. */
  #text(value: LlamaText): Rendered {
    let text = "";
    const input: number[] = [];
    for (const item of value.values) {
      if (typeof item === "string") {
        if (item !== "") input.push(text.length, text.length + item.length);
        text += item;
        continue;
      }
      const name = item.toString();
      text += { BOS: this.#model.bos, EOS: this.#model.eos, NL: "\n" }[name] ?? name;
    }
    return { text, input };
  }
}

/**
 * The library stores a call and its result as one item, and the answer after a result in the turn that made the call.
 */
function historyOf(turns: readonly Turn[]): ChatHistoryItem[] {
  const history: ChatHistoryItem[] = [];
  const items = new Map<string, { result: unknown }>();
  let open: ChatModelResponse | undefined;
  for (const { role, text, calls = [], call } of turns) {
    if (role === "tool") {
      const item = call === undefined ? undefined : items.get(call.id);
      if (item !== undefined) item.result = text;
      continue;
    }
    if (role !== "assistant") {
      open = undefined;
      history.push({ type: role, text });
      continue;
    }
    if (open === undefined) history.push(open = { type: "model", response: [] });
    if (text !== "") open.response.push(text);
    for (const [index, { id, name, input }] of calls.entries()) {
      const item = {
        type: "functionCall",
        name,
        params: input,
        result: undefined,
        startsNewChunk: index === 0,
      } as const;
      const stored: { -readonly [key in keyof typeof item]: unknown } = item;
      items.set(id, stored);
      open.response.push(item);
    }
  }
  return history;
}

/** Expands dotted keys to nested objects; `a` wins over `a.b`. */
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
