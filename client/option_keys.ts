/** The names of all options of every call, to reject unknown ones; the compiler checks that none is missing. */
import type { GenerateRequest } from "./generation.ts";
import type { GenerateV2Fields } from "./generation_v2.ts";
import type { ObjectOptions, ObjectRequest } from "./object.ts";
import type { RequestOptions } from "./options.ts";
import type { EmbedOptions, RerankOptions } from "./retrieval.ts";
import type { TokenizeOptions, TokenizerOptions } from "./tokenizer.ts";
import type { RunToolsOptions } from "./tools.ts";

type Known<Options> = Readonly<Record<keyof Options, true>>;

/** Of every call. */
export const REQUEST_KEYS: Known<RequestOptions> = {
  signal: true,
  timeoutMs: true,
  maxRetries: true,
};

/** Of a request for a value. */
export const OBJECT_REQUEST_KEYS: Known<ObjectRequest> = {
  id: true,
  messages: true,
  attachments: true,
  thinking: true,
  temperature: true,
  topP: true,
  topK: true,
  maxTokens: true,
  seed: true,
  stop: true,
  minP: true,
  presencePenalty: true,
  frequencyPenalty: true,
  repeatPenalty: true,
  logitBias: true,
};

/** Of a request for an answer. */
export const GENERATE_KEYS: Known<GenerateRequest & GenerateV2Fields> = {
  ...OBJECT_REQUEST_KEYS,
  model: true,
  tools: true,
  toolChoice: true,
  schema: true,
  json: true,
  logprobs: true,
  stream: true,
  grammar: true,
  prompt: true,
  suffix: true,
  extra: true,
  infillSampling: true,
  generationPrompt: true,
  templateVariables: true,
  logprobsAfterSampling: true,
  progress: true,
  returnTokens: true,
  ignoreEos: true,
  imageTokenBudget: true,
};

/** Of `generateObject`. */
export const OBJECT_KEYS: Known<ObjectOptions> = {
  ...REQUEST_KEYS,
  schema: true,
};

/** Of `runTools`. */
export const RUN_TOOLS_KEYS: Known<RunToolsOptions> = {
  ...REQUEST_KEYS,
  maxSteps: true,
  rethrow: true,
};

/** Of `embed`. */
export const EMBED_KEYS: Known<EmbedOptions> = {
  ...REQUEST_KEYS,
  model: true,
  dimensions: true,
  task: true,
};

/** Of `rerank`. */
export const RERANK_KEYS: Known<RerankOptions> = {
  ...REQUEST_KEYS,
  model: true,
  topN: true,
};

/** Of the tokenizer. */
export const TOKENIZER_KEYS: Known<TokenizerOptions> = {
  ...REQUEST_KEYS,
  model: true,
};

/** Of `tokenize`. */
export const TOKENIZE_KEYS: Known<TokenizeOptions> = {
  ...TOKENIZER_KEYS,
  addSpecial: true,
  parseSpecial: true,
};
