/**
 * A corpus of schemas with valid and invalid values, one per line as `{"name","schema","tests":[{"valid","data"}]}`:
 * how many compile and are enforced correctly, and how long that takes. The data is third-party and not included.
 */
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { GrammarError } from "../src/grammar/rules.ts";
import { Grammar } from "../src/grammar/grammar.ts";
import { GrammarBuilder } from "../src/grammar/grammar_builder.ts";
import { compileSchemaInPieces } from "../src/grammar/json_schema/json_schema.ts";

/** A schema of the corpus. */
export interface CorpusSchema {
  readonly name: string;
  readonly schema: unknown;
  readonly tests: readonly { readonly valid: boolean; readonly data: unknown }[];
}

/** Results; schemas by name. */
export interface CorpusResult {
  readonly schemas: number;
  /** Compiled, accepted every valid value and rejected every invalid one. */
  readonly passing: number;
  readonly uncompiled: readonly string[];
  readonly invalidAccepted: readonly string[];
  /** Accepted an invalid value that a validator accepts, too: the label is wrong. */
  readonly mislabelled: readonly string[];
  readonly validRefused: readonly string[];
  /** Milliseconds per compilation, and the longest slice of each, both sorted. */
  readonly compileMs: readonly number[];
  readonly pieceMs: readonly number[];
}

/** Read a file, compressed by gzip or not. */
export async function* readCorpus(path: string): AsyncGenerator<CorpusSchema> {
  using file = await Deno.open(path);
  const bytes = path.endsWith(".gz") ? file.readable.pipeThrough(new DecompressionStream("gzip")) : file.readable;
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line);
  }
  if (rest.trim() !== "") yield JSON.parse(rest);
}

/** Test all schemas of a corpus. */
export async function measureCorpus(corpus: AsyncIterable<CorpusSchema>): Promise<CorpusResult> {
  const names = { uncompiled: [], invalidAccepted: [], mislabelled: [], validRefused: [] } as Record<
    "uncompiled" | "invalidAccepted" | "mislabelled" | "validRefused",
    string[]
  >;
  const [compileMs, pieceMs]: [number[], number[]] = [[], []];
  let schemas = 0;
  let passing = 0;
  for await (const { name, schema, tests } of corpus) {
    schemas++;
    const compiled = compile(schema);
    compileMs.push(compiled.ms);
    pieceMs.push(compiled.longest);
    const { grammar } = compiled;
    if (grammar === undefined) {
      names.uncompiled.push(name);
      continue;
    }
    const wrong = tests.filter(({ valid, data }) => takes(grammar, data) !== valid);
    const accepted = wrong.filter(({ valid }) => !valid);
    if (accepted.length > 0) {
      const isMistake = accepted.every(({ data }) => isValid(schema, data));
      names[isMistake ? "mislabelled" : "invalidAccepted"].push(name);
    }
    if (wrong.length > accepted.length) names.validRefused.push(name);
    if (wrong.length === 0) passing++;
  }
  const inOrder = (all: number[]): number[] => all.sort((a, b) => a - b);
  return { schemas, passing, ...names, compileMs: inOrder(compileMs), pieceMs: inOrder(pieceMs) };
}

/** Quantile of sorted values. */
export function quantile(inOrder: readonly number[], rank: number): number {
  return inOrder[Math.min(inOrder.length - 1, Math.floor(rank * inOrder.length))] ?? NaN;
}

function compile(schema: unknown): { readonly grammar?: Grammar; readonly ms: number; readonly longest: number } {
  const builder = new GrammarBuilder();
  const start = performance.now();
  let longest = 0;
  try {
    const work = compileSchemaInPieces(schema, { builder, path: "schema" });
    for (let last = start;;) {
      const { done, value } = work.next();
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
      if (!done) continue;
      const grammar = new Grammar(builder.build(value));
      return { grammar, ms: performance.now() - start, longest: Math.max(longest, performance.now() - last) };
    }
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    return { ms: performance.now() - start, longest };
  }
}

const encoder = new TextEncoder();

/** Whether a grammar accepts a value as models write it. */
function takes(grammar: Grammar, value: unknown): boolean {
  try {
    const end = grammar.advance(grammar.start, encoder.encode(spaced(value)));
    return end !== undefined && grammar.canEnd(end);
  } catch (error) {
    // Too ambiguous to follow.
    if (error instanceof GrammarError) return false;
    throw error;
  }
}

/** JSON with a space after each comma and colon. */
export function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${spaced(each)}`).join(", ")}}`;
}

/** Whether a validator accepts the value. */
function isValid(schema: unknown, data: unknown): boolean {
  const { $schema, ...rest } = schema as Record<string, unknown>;
  const options = { strict: false, logger: false, validateFormats: false } as const;
  const ajv = typeof $schema === "string" && /draft-0|2019/.test($schema) ? new Ajv(options) : new Ajv2020(options);
  try {
    return ajv.compile(rest)(data);
  } catch {
    return false;
  }
}
