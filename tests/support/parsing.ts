/**
 * Reads an answer's text with a parser, whole and in pieces, and says what came of it.
 */
import { assertEquals } from "@std/assert";
import {
  ChatWrapper,
  Gemma4ChatWrapper,
  HarmonyChatWrapper,
  Llama3_1ChatWrapper,
  Llama3_2LightweightChatWrapper,
  LlamaText,
  MistralChatWrapper,
  QwenChatWrapper,
  SpecialToken,
  SpecialTokensText,
} from "node-llama-cpp";
import type { JsonObject } from "../../src/backend/backend.ts";
import { type Meaning, Parser, type ParserOptions } from "../../src/engine/parser.ts";
import { Characters, controlText } from "../../src/engine/text.ts";
import { dialectFor, TAGS } from "./dialects.ts";

const encoder = new TextEncoder();

/** What a parser said; texts and thoughts that belong together are one. */
export type ParserEvent =
  | { readonly text: string }
  | { readonly thinking: string }
  | { readonly call: string; readonly input: JsonObject }
  | "malformed"
  | "stop"
  | "end";

/** Puts together what belongs together. */
export class Events implements Meaning {
  readonly all: ParserEvent[] = [];

  text(text: string): void {
    const last = this.all.at(-1);
    if (typeof last === "object" && "text" in last) this.all[this.all.length - 1] = { text: last.text + text };
    else this.all.push({ text });
  }

  thinking(thinking: string): void {
    const last = this.all.at(-1);
    if (typeof last !== "object" || !("thinking" in last)) this.all.push({ thinking });
    else this.all[this.all.length - 1] = { thinking: last.thinking + thinking };
  }

  call(call: string, input: JsonObject): void {
    this.all.push({ call, input });
  }

  malformed(): void {
    this.all.push("malformed");
  }
}

/** How to read a text. */
export interface Reading extends Partial<Omit<ParserOptions, "dialect">> {
  readonly wrapper: Pick<ChatWrapper, "settings">;
  /** Tags are control tokens. */
  readonly controls?: boolean;
  readonly cut?: boolean;
}

/** What may be called if a reading does not say it. */
export const TOOLS: ReadonlySet<string> = new Set(["get_weather", "get_time", "add"]);

/** Read a text that comes in these pieces. */
export function parse(pieces: readonly Uint8Array[], reading: Reading): ParserEvent[] {
  const { wrapper, controls = false, cut = false, ...options } = reading;
  const dialect = dialectFor(wrapper, controls);
  const parser = new Parser({ dialect, start: "text", calls: "read", tools: TOOLS, stop: [], ends: [], ...options });
  const characters = new Characters();
  const events = new Events();
  for (const piece of pieces) {
    if (parser.ended !== undefined || events.all.includes("malformed")) break;
    parser.push(characters.push(piece), events);
  }
  parser.finish(cut, events);
  if (parser.ended !== undefined) events.all.push(parser.ended);
  return events.all;
}

/** Check what a text means: whole, cut in two at each byte, and byte by byte; with its tags as text and as tokens. */
export function check(text: string, reading: Reading, expected: readonly ParserEvent[]): void {
  for (const controls of [false, true]) {
    // A control token comes in one piece, but the names around it may be cut anywhere all the same.
    const bytes = encoder.encode(controls ? text.replace(TAGS, (tag) => controlText(tag)) : text);
    const tagged = { ...reading, controls };
    assertEquals(parse([bytes], tagged), expected, `${text}, whole`);
    for (let at = 1; at < bytes.length; at++) {
      assertEquals(parse([bytes.slice(0, at), bytes.slice(at)], tagged), expected, `${text}, cut at ${at}`);
    }
    assertEquals(parse(Array.from(bytes, (byte) => Uint8Array.of(byte)), tagged), expected, `${text}, bytes`);
  }
}

export const QWEN: Reading = { wrapper: new QwenChatWrapper() };
export const QWEN_35: Reading = { wrapper: new QwenChatWrapper({ variation: "3.5" }) };
export const LLAMA_31: Reading = { wrapper: new Llama3_1ChatWrapper() };
export const LLAMA_32: Reading = { wrapper: new Llama3_2LightweightChatWrapper() };
export const MISTRAL: Reading = { wrapper: new MistralChatWrapper() };
export const GEMMA: Reading = { wrapper: new Gemma4ChatWrapper() };
export const HARMONY: Reading = { wrapper: new HarmonyChatWrapper(), start: "header" };

const special = (text: string): LlamaText => LlamaText(new SpecialTokensText(text));

/**
 * Newer templates of Mistral's have no wrapper of their own; this is what node-llama-cpp reads from those of Devstral
 * and Ministral 3.
 */
export const MISTRAL_ARGS: Reading = {
  wrapper: {
    settings: {
      ...ChatWrapper.defaultSettings,
      functions: {
        call: {
          optionalPrefixSpace: true,
          prefix: special("[TOOL_CALLS]"),
          paramsPrefix: special("[ARGS]"),
          suffix: "",
          emptyCallParamsPlaceholder: {},
        },
        result: { prefix: special("[TOOL_RESULTS]"), suffix: special("[/TOOL_RESULTS]") },
        parallelism: {
          call: { sectionPrefix: "", betweenCalls: "", sectionSuffix: LlamaText(new SpecialToken("EOS")) },
          result: { sectionPrefix: "", betweenResults: "", sectionSuffix: "" },
        },
      },
      segments: { thought: { prefix: special("[THINK]"), suffix: special("[/THINK]") } },
    },
  },
};
