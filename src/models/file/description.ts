/** What the header of a model file says of the model, in the words that people use. */
import type { GgufHead } from "./gguf.ts";

/** `general.file_type`, as llama.cpp numbers it. */
const FILE_TYPES: ReadonlyMap<number, string> = new Map([
  [0, "F32"],
  [1, "F16"],
  [2, "Q4_0"],
  [3, "Q4_1"],
  [7, "Q8_0"],
  [8, "Q5_0"],
  [9, "Q5_1"],
  [10, "Q2_K"],
  [11, "Q3_K_S"],
  [12, "Q3_K_M"],
  [13, "Q3_K_L"],
  [14, "Q4_K_S"],
  [15, "Q4_K_M"],
  [16, "Q5_K_S"],
  [17, "Q5_K_M"],
  [18, "Q6_K"],
  [19, "IQ2_XXS"],
  [20, "IQ2_XS"],
  [21, "Q2_K_S"],
  [22, "IQ3_XS"],
  [23, "IQ3_XXS"],
  [24, "IQ1_S"],
  [25, "IQ4_NL"],
  [26, "IQ3_S"],
  [27, "IQ3_M"],
  [28, "IQ2_S"],
  [29, "IQ2_M"],
  [30, "IQ4_XS"],
  [31, "IQ1_M"],
  [32, "BF16"],
  [36, "TQ1_0"],
  [37, "TQ2_0"],
  [38, "MXFP4"],
  [39, "NVFP4"],
]);

/** Bytes of a key or a value of the KV cache, in 16 bits. */
const CACHE_BYTES = 2;

/** A model, as its header describes it; what is absent it does not say. */
export interface ModelDescription {
  readonly title?: string;
  readonly architecture?: string;
  /** Of the file. */
  readonly parameters: number;
  readonly quantisation?: string;
  /** What it was trained for. */
  readonly contextTokens?: number;
  readonly license?: string;
  /** There is a chat template. */
  readonly template: boolean;
  /** The template takes tools, or has a place for thoughts. */
  readonly tools: boolean;
  readonly thinking: boolean;
  /** Memory of the weights. */
  readonly weightBytes: number;
  /** Memory of the KV cache, for each token of context. */
  readonly bytesPerToken?: number;
}

/**
 * Describe a model.
 *
 * @param heads The headers of all its files, the first one first.
 * @returns What they say.
 */
export function describeModel(heads: readonly GgufHead[]): ModelDescription {
  const facts = heads[0]?.facts ?? new Map<string, string | number>();
  const architecture = heads[0]?.architecture;
  const text = (key: string): string | undefined => {
    const value = facts.get(key);
    return typeof value === "string" ? value : undefined;
  };
  const number = (key: string): number | undefined => {
    const value = facts.get(`${architecture}.${key}`);
    return typeof value === "number" ? value : undefined;
  };
  const template = text("tokenizer.chat_template");
  const tensors = heads.flatMap((head) => head.tensors);
  const fields = {
    title: text("general.name"),
    architecture,
    quantisation: FILE_TYPES.get(Number(facts.get("general.file_type") ?? -1)),
    contextTokens: number("context_length"),
    license: text("general.license"),
    bytesPerToken: bytesPerToken(number),
  };
  return {
    ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)),
    parameters: tensors.reduce((sum, { dimensions }) => sum + dimensions.reduce((a, b) => a * b, 1), 0),
    template: template !== undefined,
    tools: /\btools\b/.test(template ?? ""),
    thinking: /<think>|enable_thinking|reasoning_content|\bthinking\b/.test(template ?? ""),
    weightBytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** A key and a value for each layer; unknown where layers differ. */
function bytesPerToken(number: (key: string) => number | undefined): number | undefined {
  const [layers, width, heads] = [number("block_count"), number("embedding_length"), number("attention.head_count")];
  const kvHeads = number("attention.head_count_kv") ?? heads;
  if (layers === undefined || width === undefined || !heads || kvHeads === undefined) return undefined;
  const each = width / heads;
  const [key, value] = [number("attention.key_length") ?? each, number("attention.value_length") ?? each];
  return layers * kvHeads * (key + value) * CACHE_BYTES;
}
