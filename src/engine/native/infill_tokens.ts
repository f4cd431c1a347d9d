/** Tokens of a vocabulary that mark the parts of a prompt for filling in text. */
import type { Library } from "./library.ts";

export interface InfillTokens {
  readonly prefix: number;
  readonly suffix: number;
  readonly middle: number;
}

/** @returns Undefined if the vocabulary lacks one. */
export function infillTokensOf(
  { llama }: Library,
  vocabulary: NonNullable<Deno.PointerValue>,
): InfillTokens | undefined {
  const tokens = {
    prefix: llama.llama_vocab_fim_pre(vocabulary),
    suffix: llama.llama_vocab_fim_suf(vocabulary),
    middle: llama.llama_vocab_fim_mid(vocabulary),
  };
  return Object.values(tokens).every((token) => token >= 0) ? tokens : undefined;
}
