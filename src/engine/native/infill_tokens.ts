/** Tokens of a vocabulary that mark the parts of a prompt for filling in text. */
import type { Library } from "./library.ts";

export interface InfillTokens {
  readonly prefix: number;
  readonly suffix: number;
  readonly middle: number;
  /** Begins the name of the project; absent in some vocabularies. */
  readonly project?: number;
  /** Begins the name of a file; absent in some vocabularies. */
  readonly file?: number;
}

/** @returns Undefined if the vocabulary lacks one that is needed. */
export function infillTokensOf(
  { llama }: Library,
  vocabulary: NonNullable<Deno.PointerValue>,
): InfillTokens | undefined {
  const needed = {
    prefix: llama.llama_vocab_fim_pre(vocabulary),
    suffix: llama.llama_vocab_fim_suf(vocabulary),
    middle: llama.llama_vocab_fim_mid(vocabulary),
  };
  const project = llama.llama_vocab_fim_rep(vocabulary);
  const file = llama.llama_vocab_fim_sep(vocabulary);
  if (Object.values(needed).some((token) => token < 0)) return undefined;
  return { ...needed, ...(project < 0 ? {} : { project }), ...(file < 0 ? {} : { file }) };
}
