/** What the tests of schemas have in common: compiling, following, comparing with a validator. */
import { assert } from "@std/assert";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { Rules } from "../../../../src/grammar/rules.ts";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import type { Position } from "../../../../src/grammar/grammar_state.ts";
import { GrammarBuilder } from "../../../../src/grammar/grammar_builder.ts";
import { type CompileOptions, compileSchema } from "../../../../src/grammar/json_schema/json_schema.ts";

export const encoder = new TextEncoder();
export const PATH = "response_format.schema";

export function compile(schema: unknown, options: CompileOptions = {}): Rules {
  const builder = new GrammarBuilder();
  return builder.build(compileSchema(schema, { ...options, builder, path: PATH }));
}

export function matches(schema: unknown, text: string, options: CompileOptions = {}): boolean {
  const grammar = new Grammar(compile(schema, options));
  const end = grammar.advance(grammar.start, encoder.encode(text));
  return end !== undefined && grammar.canEnd(end);
}

export function validator(schema: unknown, draft: "draft-07" | "2020-12" = "2020-12"): (value: unknown) => boolean {
  const options = { strict: false, allErrors: true, logger: false } as const;
  const ajv = draft === "draft-07" ? new Ajv(options) : new Ajv2020(options);
  addFormats.default(ajv);
  return ajv.compile(schema as object) as (value: unknown) => boolean;
}

export function randomNumbers(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that bring a text nearer to its end. */
const CLOSING = encoder.encode('"}]0el,:');

/** A text of the grammar: any byte it allows, again and again; after a while those that close something first. */
export function walk(grammar: Grammar, random: () => number): string {
  const bytes: number[] = [];
  let at: Position = grammar.start;
  for (;;) {
    if (grammar.canEnd(at) && (random() < 0.5 || bytes.length > 400)) break;
    const hurry = bytes.length > 200 || random() < 0.25;
    const preferred = hurry ? [...CLOSING].filter((byte) => grammar.advance(at, Uint8Array.of(byte))) : [];
    const choice = preferred.length > 0
      ? bytes.length > 200 ? preferred.slice(0, 1) : preferred
      : Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => grammar.advance(at, Uint8Array.of(byte)));
    if (choice.length === 0) {
      assert(
        grammar.canEnd(at),
        `nothing may follow ${JSON.stringify(new TextDecoder().decode(Uint8Array.from(bytes)))}`,
      );
      break;
    }
    const byte = choice[Math.floor(random() * choice.length)] as number;
    bytes.push(byte);
    at = grammar.advance(at, Uint8Array.of(byte)) as Position;
    assert(bytes.length < 20_000, "comes to no end");
  }
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
}
