/**
 * A model without a chat template: node-llama-cpp's wrapper for its family renders in the template's place. The library
 * is imported for such a model only.
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

/** What finding a wrapper needs of a model. */
export interface WrappedModel {
  readonly metadata: ReadonlyMap<string, string>;
  readonly bos: string;
  readonly eos: string;
}

/** Renders with the wrapper that node-llama-cpp has for a family. */
export class WrapperRenderer implements Renderer {
  readonly #wrapper: ChatWrapper;
  readonly #model: WrappedModel;
  readonly source = "";
  /** Whether the family has a call format of its own, not the library's default. */
  readonly calls: boolean;

  private constructor(wrapper: ChatWrapper, model: WrappedModel, calls: boolean) {
    this.#wrapper = wrapper;
    this.#model = model;
    this.calls = calls;
  }

  /** Find the wrapper for a model; a general one where its metadata do not say what it is. */
  static async for(model: WrappedModel, loadLibrary: LoadChatLibrary): Promise<WrapperRenderer> {
    const library = await loadLibrary();
    const fileInfo = { metadata: nested(model.metadata) } as unknown as GgufFileInfo;
    const wrapper = library.resolveChatWrapper({ fileInfo, bosString: model.bos, warningLogs: false }) ??
      new library.GeneralChatWrapper();
    const calls = wrapper.settings.functions !== library.ChatWrapper.defaultSettings.functions;
    return new WrapperRenderer(wrapper, model, calls);
  }

  /** What the library calls the wrapper. */
  get name(): string {
    return this.#wrapper.wrapperName;
  }

  /** Texts that end an answer. */
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

  /** Plain strings in it are the conversation's, everything else is the wrapper's. */
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

/** A call and its result are one item there, and the answer after a result belongs to the turn that made the call. */
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
