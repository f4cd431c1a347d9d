/**
 * Token masks of real schemas with a real vocabulary, against asking about each token. Needs `INFERD_SCHEMAS_FILE`, an
 * NDJSON file as `bench/schema_corpus.ts` describes it, and `INFERD_LLAMA_CPP_DIR`, llama.cpp's source with its
 * vocabularies; skipped without.
 */
import { compiled } from "../../bench/mask_times.ts";
import { assert, assertEquals } from "@std/assert";
import { readVocabulary, type Vocabulary } from "../../bench/mask_times.ts";
import { readCorpus, spaced } from "../../bench/schema_corpus.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import type { Position } from "../../src/grammar/grammar_state.ts";
import type { VocabularyIndex } from "../../src/grammar/vocabulary/vocabulary_index.ts";
import { finish } from "../../src/work/work.ts";

const schemas = Deno.env.get("INFERD_SCHEMAS_FILE") ?? "";
const llamaCpp = Deno.env.get("INFERD_LLAMA_CPP_DIR") ?? "";
/** Of so many schemas one is followed, and a mask looked at every so many tokens. */
const SCHEMAS = 40;
const TOKENS = 31;

Deno.test({
  name: "masks of real schemas are what asking about each token of a real vocabulary says",
  ignore: schemas === "" || llamaCpp === "",
  async fn(): Promise<void> {
    const vocabulary = await readVocabulary(`${llamaCpp}/models/ggml-vocab-llama-bpe.gguf`);
    let read = 0;
    let checked = 0;
    for await (const { name, schema, tests } of readCorpus(schemas)) {
      if (read++ % SCHEMAS !== 0) continue;
      const grammar = compiled(schema);
      if (grammar === undefined) continue;
      for (const { valid, data } of tests) if (valid) checked += check(grammar, spaced(data), { name, vocabulary });
    }
    assert(checked > 100, `${checked} masks`);
  },
});

/** @returns How many masks were looked at. */
function check(
  grammar: Grammar,
  text: string,
  { name, vocabulary }: { readonly name: string; readonly vocabulary: Vocabulary },
): number {
  const { index, tokenize } = vocabulary;
  let at: Position | undefined = grammar.start;
  let checked = 0;
  for (const [i, token] of tokenize(text).entries()) {
    if (i % TOKENS === 0) {
      assertEquals(differing(grammar, at, index), [], `${name} before token ${i} of ${text}`);
      checked++;
    }
    at = grammar.follow(at, token, index.piece(token));
    if (at === undefined) break;
  }
  return checked;
}

/** The tokens that a mask says otherwise of than the grammar. */
function differing(grammar: Grammar, at: Position, index: VocabularyIndex): number[] {
  const mask = finish(grammar.allowed(at, index)).bits();
  const isAllowed = (token: number): boolean =>
    index.ends(token)
      ? grammar.canEnd(at)
      : index.piece(token).length > 0 && grammar.advance(at, index.piece(token)) !== undefined;
  return Array.from({ length: index.size }, (_, token) => token).filter((token) =>
    isAllowed(token) !== (((mask[token >> 5] as number) >>> (token & 31) & 1) === 1)
  );
}
