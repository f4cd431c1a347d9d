import { assert, assertInstanceOf, assertThrows } from "@std/assert";
import { GrammarError } from "../../../../src/grammar/rules.ts";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import { GrammarBuilder } from "../../../../src/grammar/grammar_builder.ts";
import { compileSchemaInPieces } from "../../../../src/grammar/json_schema/json_schema.ts";
import { finish } from "../../../../src/work/work.ts";
import { encoder, PATH } from "./support.ts";

interface Pieces {
  readonly count: number;
  /** The most derivatives that one of them looks at. */
  readonly most: number;
}

/** All pieces of a compilation. */
function pieces(schema: unknown): Pieces & { readonly grammar: Grammar } {
  const { error, grammar, ...all } = tried(schema);
  if (grammar === undefined) throw error;
  return { ...all, grammar };
}

/** All pieces of a compilation that fails, also the one in which it does. */
function piecesUntilRefused(schema: unknown): Pieces & { readonly error: GrammarError } {
  const { error, ...all } = tried(schema);
  assertInstanceOf(error, GrammarError);
  return { ...all, error };
}

function tried(schema: unknown): Pieces & { readonly grammar?: Grammar; readonly error?: unknown } {
  const builder = new GrammarBuilder();
  const work = compileSchemaInPieces(schema, { builder, path: PATH });
  let [count, most, before] = [0, 0, 0];
  for (;;) {
    let piece: ReturnType<typeof work.next> | undefined;
    let error: unknown;
    try {
      piece = work.next();
    } catch (thrown) {
      error = thrown;
    }
    count++;
    most = Math.max(most, builder.languages.work - before);
    before = builder.languages.work;
    if (piece === undefined) return { count, most, error };
    if (piece.done) return { count, most, grammar: new Grammar(builder.build(piece.value)) };
  }
}

Deno.test("a schema is compiled in a piece for each of its parts at least", () => {
  const properties = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`p${i}`, { type: "integer", minimum: i }]),
  );
  const { count, grammar } = pieces({ type: "object", properties });
  assert(count > 300, `${count}`);
  const end = grammar.advance(grammar.start, encoder.encode('{"p7":7}'));
  assert(end !== undefined && grammar.canEnd(end));
});

Deno.test("a language is looked through in pieces when it has many states", () => {
  const { count, most } = pieces({ type: "string", pattern: "^(?=.*a.{8}$)(?=.*b.{7}$)[ab]*$", minLength: 3 });
  assert(count > 5, `${count}`);
  assert(most < 20_000, `${most}`);
});

/** Looks ahead for 30 letters, each with more behind it than the one before. */
const LOOKAHEADS = Array.from({ length: 30 }, (_, i) => `(?=.*${String.fromCharCode(97 + i % 26)}.{${i + 5}})`).join(
  "",
);

for (
  const [name, schema] of [
    ["looks ahead for many things", { type: "string", pattern: `^${LOOKAHEADS}.*$` }],
    ["does so within a length", { type: "string", pattern: `^${LOOKAHEADS}.*$`, minLength: 10, maxLength: 500 }],
    ["looks back", { type: "string", pattern: "(?<=a.{21})b(?<!c.{31})" }],
  ] as const
) {
  Deno.test(`a pattern that ${name} is found too complex in pieces`, () => {
    const { most, error } = piecesUntilRefused(schema);
    assert(error.message.includes("too complex"), error.message);
    assert(most < 10_000, `${most}`);
  });
}

Deno.test("alternatives are read in pieces when there are many", () => {
  const either = { anyOf: [{ minimum: 1 }, { maximum: -1 }, { type: "string" }] };
  assert(pieces({ allOf: [either, either, either, either] }).count > 5);
});

Deno.test("alternatives that overlap are compared in pieces", () => {
  // Each pair has to be looked into, and some have much to be looked at.
  const oneOf = Array.from({ length: 3 }, (_, i) => ({
    type: "string",
    pattern: `^(?=.*a.{${3 + i % 4}}$)(?=.*b.{${2 + i % 3}}$)[ab]{${i},}$`,
    maxLength: 40 + i,
  }));
  const { count, most } = pieces({ oneOf });
  assert(count > 20, `${count}`);
  assert(most < 5_000, `${most}`);
});

Deno.test("a schema that takes too much is refused with the path of what does", () => {
  const complex = { type: "string", pattern: "^(?=.*a.{16}$)(?=.*b.{15}$)[ab]*$" };
  const schema = { type: "object", properties: { fine: {}, odd: complex } };
  assertThrows(
    () => pieces(schema),
    GrammarError,
    `"${PATH}.properties.odd.pattern" is not supported: it is too complex`,
  );
});

Deno.test("a schema gets the same limits when others were compiled before it", () => {
  const builder = new GrammarBuilder();
  const schema = { type: "string", pattern: "^(?=.*a.{8}$)(?=.*b.{7}$)[ab]*$" };
  for (let i = 0; i < 15; i++) {
    const work = compileSchemaInPieces({ ...schema, pattern: `${schema.pattern}|^${i}$` }, { builder, path: PATH });
    const grammar = new Grammar(builder.build(finish(work)));
    const end = grammar.advance(grammar.start, encoder.encode(`"${i}"`));
    assert(end !== undefined && grammar.canEnd(end), `${i}`);
  }
});
