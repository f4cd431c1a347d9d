/**
 * Reads an answer's text with a parser, whole and in pieces, and says what came of it.
 */
import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../src/inference/request.ts";
import type { CallableTools } from "../../src/engine/answer/call_parser.ts";
import type { Meaning, ParserOptions } from "../../src/engine/answer/parser_options.ts";
import { Parser } from "../../src/engine/answer/parser.ts";
import { Characters } from "../../src/engine/answer/text.ts";
import { Chat } from "../../src/engine/chat/chat.ts";
import type { Dialect } from "../../src/engine/chat/dialect/dialect.ts";
import { asSeen, type TestModel } from "./chat_model.ts";
import * as families from "./families/mod.ts";

const encoder = new TextEncoder();

/** What a parser said; texts and thoughts that belong together are one. */
export type ParserEvent =
  | { readonly text: string }
  | { readonly thinking: string }
  | { readonly call: string; readonly input: JsonObject }
  | "text was thought"
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

  textWasThought(): void {
    this.all.push("text was thought");
  }

  malformed(): void {
    this.all.push("malformed");
  }
}

/** A family as answers are read: for each kind that its markers may be, a model and its dialect. */
export type FamilyReading = ReadonlyMap<families.MarkerKind, { readonly model: TestModel; readonly dialect: Dialect }>;

/** How to read a text. */
export interface Reading extends Partial<Omit<ParserOptions, "dialect">> {
  readonly family: FamilyReading;
  /** What the markers are; what they usually are if it is not said. */
  readonly as?: families.MarkerKind;
  readonly cut?: boolean;
}

/** How a family's answers are read. */
export async function readingOf(family: families.Family): Promise<Reading> {
  const kinds = new Map<families.MarkerKind, { model: TestModel; dialect: Dialect }>();
  for (const kind of family.markersAre) {
    const model = families.familyModel(family, kind);
    kinds.set(kind, { model, dialect: (await Chat.of(model, 100_000)).dialect });
  }
  return { family: kinds };
}

/** The same with markers that are only some of what they may be. */
export function withKinds(reading: Reading, kinds: readonly families.MarkerKind[]): Reading {
  return { ...reading, family: new Map([...reading.family].filter(([kind]) => kinds.includes(kind))) };
}

/** What may be called if a reading does not say it; nothing is known of the arguments. */
export const TOOLS: CallableTools = new Map(["get_weather", "get_time", "add"].map((name) => [name, {}]));

/** A parser for a reading. */
export function parserOf({ family, as, cut: _, ...options }: Reading): Parser {
  const [first] = family.keys();
  const read = family.get(as ?? first as families.MarkerKind);
  if (read === undefined) throw new RangeError(`The family's markers are never ${as}`);
  return new Parser({
    dialect: read.dialect,
    start: "text",
    calls: "read",
    tools: TOOLS,
    stop: [],
    ends: [],
    ...options,
  });
}

/** Read a text that comes in these pieces. */
export function parse(pieces: readonly Uint8Array[], reading: Reading): ParserEvent[] {
  const parser = parserOf(reading);
  const characters = new Characters();
  const events = new Events();
  for (const piece of pieces) {
    if (parser.ended !== undefined || events.all.includes("malformed")) break;
    parser.push(characters.push(piece), events);
  }
  parser.finish(reading.cut ?? false, events);
  if (parser.ended !== undefined) events.all.push(parser.ended.kind);
  return events.all;
}

/** Check what a text means: whole, cut in two at each byte, and byte by byte; with its markers as all they may be. */
export function assertParsed(text: string, reading: Reading, expected: readonly ParserEvent[]): void {
  for (const [as, { model }] of reading.family) {
    // A token comes in one piece, but the names around it may be cut anywhere all the same.
    const bytes = encoder.encode(asSeen(model, text));
    const tagged = { ...reading, as };
    assertEquals(parse([bytes], tagged), expected, `${text}, ${as}, whole`);
    for (let at = 1; at < bytes.length; at++) {
      assertEquals(parse([bytes.slice(0, at), bytes.slice(at)], tagged), expected, `${text}, ${as}, cut at ${at}`);
    }
    assertEquals(parse(Array.from(bytes, (byte) => Uint8Array.of(byte)), tagged), expected, `${text}, ${as}, bytes`);
  }
}

export const CHATML = await readingOf(families.CHATML);
export const QWEN = await readingOf(families.HERMES);
export const QWEN_35 = await readingOf(families.CODER);
export const LLAMA_31 = await readingOf(families.FUNCTION_TAG);
export const LLAMA_32 = await readingOf(families.LLAMA);
export const MISTRAL = await readingOf(families.MISTRAL);
export const MISTRAL_IDS = await readingOf(families.MISTRAL_IDS);
export const MISTRAL_ARGS = await readingOf(families.MISTRAL_ARGS);
export const GEMMA = await readingOf(families.GEMMA);
export const HARMONY: Reading = { ...await readingOf(families.HARMONY), start: "header" };
