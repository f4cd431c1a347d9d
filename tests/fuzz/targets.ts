/** What is fuzzed: each target has good inputs, a way to damage them, and the errors it may refuse them with. */
import { DISPATCH_ERRORS } from "./expected.ts";
import { compileSchema } from "../../src/grammar/json_schema/json_schema.ts";
import { GrammarBuilder } from "../../src/grammar/grammar_builder.ts";
import { Grammar } from "../../src/grammar/grammar.ts";
import { GrammarError } from "../../src/grammar/rules.ts";
import { parseGbnf } from "../../src/grammar/gbnf.ts";
import { GgufError, readGgufHead } from "../../src/models/file/gguf.ts";
import { parseConfigFile } from "../../src/config/file.ts";
import { UsageError } from "../../src/config/setting/usage_error.ts";
import { Template, TemplateError } from "../../src/engine/jinja/template.ts";
import { InvalidRequestError } from "../../src/inference/errors.ts";
import { readDispatchRequest } from "../../src/surfaces/dispatch.ts";
import { readEmbed } from "../../src/surfaces/embed.ts";
import { parseOps } from "../../src/surfaces/ops.ts";
import { readRerank } from "../../src/surfaces/rerank.ts";
import { v1Surface } from "../../src/surfaces/v1.ts";
import { v2Surface } from "../../src/surfaces/v2.ts";
import { bytesSource, modelBytes } from "../support/gguf_files.ts";
import { damageBytes, damageText, damageValue } from "./mutations.ts";

/** One thing that reads what strangers write. */
export interface Target {
  /** Inputs that it takes. */
  readonly seeds: readonly string[];
  readonly damage: (random: () => number, seed: string) => string;
  /** Reads an input; throws what {@linkcode Target.refuses} tells, or it is a crash. */
  readonly run: (input: string) => unknown;
  readonly refuses: readonly (abstract new (...args: never[]) => Error)[];
}

const REQUESTS: readonly unknown[] = [
  {
    id: "a",
    messages: [{ role: "system", content: "s" }, { role: "user", content: "u" }],
    stream: false,
    temperature: 0.5,
    stop: ["x"],
    seed: 7,
    grammar: 'root ::= "a"',
    logit_bias: { "1": 2 },
  },
  {
    id: "b",
    system: "s",
    messages: [{ role: "user", content: [{ type: "text", text: "t" }] }],
    tools: [{ name: "f", description: "d", input_schema: { type: "object", properties: { c: { type: "string" } } } }],
    tool_choice: { type: "auto" },
    response_format: { type: "json_schema", schema: { type: "array", items: { const: 1 } } },
  },
  { id: "c", type: "count", messages: [{ role: "user", content: "u" }] },
  { id: "d", input: ["a", "b"], task: "retrieval_document", dimensions: 64 },
  { id: "e", query: "q", documents: ["a", "b"], top_n: 1 },
];

const SCHEMAS: readonly unknown[] = [
  {
    type: "object",
    properties: { a: { type: "string", pattern: "^a[b-d]{2,4}$", maxLength: 9 }, b: { enum: [1, "x", null] } },
    required: ["a"],
    additionalProperties: false,
  },
  { $defs: { n: { type: "object", properties: { next: { $ref: "#/$defs/n" } } } }, $ref: "#/$defs/n" },
  { oneOf: [{ type: "integer", minimum: 3, maximum: 300 }, { type: "array", items: { format: "date" }, minItems: 2 }] },
];

const CONFIGS: readonly unknown[] = [
  { queue_depth: 7, parallel: 2, backends: [{ kind: "llamacpp", name: "m", model: { path: "/m.gguf" }, n_ctx: 512 }] },
  { backends: [{ kind: "openai-compat", name: "o", base_url: "https://h/v1", model: "m", api_key_env: "K" }] },
  { model: { name: "m", sha256: "a".repeat(64), source_url: "https://h/m.gguf" }, log_level: "debug" },
];

const TEMPLATES: readonly string[] = [
  "{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{% if not loop.last %}\n{% endif %}{% endfor %}",
  "{% macro f(x, y=2) %}{{ x ~ y }}{% endmacro %}{% set ns = namespace(a=1) %}{{ f(ns.a) }}{{ messages | tojson }}",
  "{%- if messages[0].role == 'user' and true -%}{{ raise_exception('no') }}{%- else -%}{{ [1,2][::-1] }}{%- endif -%}",
];

const GRAMMARS: readonly string[] = [
  'root ::= ("a" | [b-z] rest)+ # c\nrest ::= "\\n"? [^"\\\\]{1,3}',
  'root ::= item ("," item)*\nitem ::= [0-9]+ | "\\u00e9"',
];

const OPS: readonly string[] = ['generate(prompt="a; b) \\"c\\"", max_tokens=1); status(); models(); config_id()'];

function json(values: readonly unknown[]): Pick<Target, "seeds" | "damage"> {
  return {
    seeds: values.map((value) => JSON.stringify(value)),
    damage: (random, seed) => JSON.stringify(damageValue(random, JSON.parse(seed))) ?? "null",
  };
}

function surface(read: (value: unknown) => unknown): Target {
  return { ...json(REQUESTS), run: (input) => read(JSON.parse(input)), refuses: DISPATCH_ERRORS };
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Every target, by name. */
export const TARGETS: Readonly<Record<string, Target>> = {
  v1: surface((value) => v1Surface.read(value)),
  v2: surface((value) => v2Surface.read(value)),
  embed: surface(readEmbed),
  rerank: surface(readRerank),
  dispatch: {
    ...json([{ ops: "status()", namespace: "default", presentation: null, presentation_per_op: null }]),
    run: (input) => readDispatchRequest(JSON.parse(input)),
    refuses: DISPATCH_ERRORS,
  },
  ops: { seeds: OPS, damage: damageText, run: parseOps, refuses: DISPATCH_ERRORS },
  config: { ...json(CONFIGS), run: (input) => parseConfigFile(input, "c.json"), refuses: [UsageError] },
  gguf: {
    seeds: [latin1(modelBytes(400))],
    damage: (random, seed) => latin1(damageBytes(random, bytesOf(seed))),
    run: (input) => readGgufHead(bytesSource(bytesOf(input))),
    refuses: [GgufError],
  },
  schema: {
    ...json(SCHEMAS),
    run: (input): void => {
      const builder = new GrammarBuilder();
      new Grammar(builder.build(compileSchema(JSON.parse(input), { builder, path: "schema" })));
    },
    refuses: [GrammarError, InvalidRequestError],
  },
  gbnf: {
    seeds: GRAMMARS,
    damage: damageText,
    run: (input): void => void new Grammar(parseGbnf(input)),
    refuses: [GrammarError],
  },
  template: {
    seeds: TEMPLATES,
    damage: damageText,
    run: (input) => new Template(input).render({ messages: [{ role: "user", content: " u " }] }),
    refuses: [TemplateError],
  },
};
