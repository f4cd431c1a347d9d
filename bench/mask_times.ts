/**
 * Time to compute token masks along the valid values of a corpus of schemas, as a model with a real vocabulary would
 * write them.
 */
import { Grammar } from "../src/grammar/grammar.ts";
import { GrammarBuilder } from "../src/grammar/grammar_builder.ts";
import type { Position } from "../src/grammar/grammar_state.ts";
import { compileSchema } from "../src/grammar/json_schema/json_schema.ts";
import { GrammarError } from "../src/grammar/rules.ts";
import { openLibrary } from "../src/engine/native/library.ts";
import { obtainLibraries } from "../src/engine/native/libraries.ts";
import { Model } from "../src/engine/native/model.ts";
import { thisMachine } from "../src/engine/native/this_machine.ts";
import { finish } from "../src/work/work.ts";
import { VocabularyIndex } from "../src/grammar/vocabulary/vocabulary_index.ts";
import { type CorpusSchema, spaced } from "./schema_corpus.ts";

/** Sorted times in microseconds. */
export interface MaskTimes {
  /** For every token, cached or not. */
  readonly us: readonly number[];
  /** For masks found in the cache: all that a decode step waits for. */
  readonly stepUs: readonly number[];
  /** For masks computed anew, between steps. */
  readonly betweenUs: readonly number[];
  /** The longest slice of each computation: the longest delay of a step. */
  readonly pieceUs: readonly number[];
}

/** A model's vocabulary; no weights are needed. */
export interface Vocabulary {
  readonly index: VocabularyIndex;
  tokenize(text: string): Int32Array;
}

/** Read the vocabulary of a GGUF file. */
export async function readVocabulary(path: string): Promise<Vocabulary> {
  const { source } = await obtainLibraries(
    { accelerator: "cpu" },
    thisMachine((name) => Deno.env.get(name)),
    () => "not here",
  );
  const model = Model.load(openLibrary(source), [path], { vocabularyOnly: true });
  const index = finish(VocabularyIndex.of(model.vocabularySize, {
    piece: (token) => model.piece(token),
    ends: (token) => model.endsAnswer(token),
  }));
  return { index, tokenize: (text) => model.tokenize(text, false) };
}

/** Follow the valid values of all schemas that compile. */
export async function measureMasks(
  corpus: AsyncIterable<CorpusSchema>,
  { index, tokenize }: Vocabulary,
): Promise<MaskTimes> {
  const times: Record<keyof MaskTimes, number[]> = { us: [], stepUs: [], betweenUs: [], pieceUs: [] };
  for await (const { schema, tests } of corpus) {
    const grammar = compiled(schema);
    if (grammar === undefined) continue;
    for (const { valid, data } of tests) if (valid) follow(grammar, tokenize(spaced(data)), { index, times });
  }
  for (const all of Object.values(times)) all.sort((a, b) => a - b);
  return times;
}

/** The grammar of a schema; undefined if it is refused. */
export function compiled(schema: unknown): Grammar | undefined {
  const builder = new GrammarBuilder();
  try {
    return new Grammar(builder.build(compileSchema(schema, { builder, path: "schema" })));
  } catch (error) {
    if (error instanceof GrammarError) return undefined;
    throw error;
  }
}

function follow(
  grammar: Grammar,
  tokens: Int32Array,
  { index, times }: { readonly index: VocabularyIndex; readonly times: Record<keyof MaskTimes, number[]> },
): void {
  let at: Position | undefined = grammar.start;
  const bits = new Uint32Array((index.size + 31) >> 5);
  for (const token of tokens) {
    const start = performance.now();
    try {
      const known = grammar.known(at, index);
      const isKnown = known !== undefined;
      if (isKnown) known.bits(bits);
      else {
        let longest = 0;
        const work = grammar.allowed(at, index);
        let last = start;
        for (let isDone = false; !isDone;) {
          const { done, value } = work.next();
          if (done) value.bits(bits);
          isDone = done === true;
          const now = performance.now();
          longest = Math.max(longest, now - last);
          last = now;
        }
        times.pieceUs.push(longest * 1000);
      }
      const us = (performance.now() - start) * 1000;
      times.us.push(us);
      times[isKnown ? "stepUs" : "betweenUs"].push(us);
      at = grammar.follow(at, token, index.piece(token));
    } catch (error) {
      if (!(error instanceof GrammarError)) throw error;
      return;
    }
    if (at === undefined) return;
  }
}
