/** Human-readable description of a model, from its GGUF header. */
import type { GgufHead, GgufScalar } from "./gguf.ts";

/** `general.file_type`, in llama.cpp's numbering. */
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

const CHAT_TEMPLATE = "tokenizer.chat_template";

/** Bytes per element of the KV cache at 16 bits. */
const CACHE_BYTES = 2;

/** Description of a model; fields that the header lacks are absent. */
export interface ModelDescription {
  readonly title?: string;
  readonly architecture?: string;
  /** Total of the file. */
  readonly parameters: number;
  readonly quantisation?: string;
  /** Trained context. */
  readonly contextTokens?: number;
  readonly license?: string;
  /** Whether there is a chat template. */
  readonly template: boolean;
  /** Whether the template mentions tools, or thoughts. */
  readonly tools: boolean;
  readonly thinking: boolean;
  readonly weightBytes: number;
  /** KV cache memory per token of context. */
  readonly bytesPerToken?: number;
}

/** @param heads The headers of all its files, first file first. */
export function describeModel(heads: readonly GgufHead[]): ModelDescription {
  const facts = heads[0]?.facts ?? new Map<string, GgufScalar>();
  const architecture = heads[0]?.architecture;
  const text = (key: string): string | undefined => {
    const value = facts.get(key);
    return typeof value === "string" ? value : undefined;
  };
  const number = (key: string): number | undefined => {
    const value = facts.get(`${architecture}.${key}`);
    return typeof value === "number" ? value : undefined;
  };
  const template = text(CHAT_TEMPLATE);
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

/** Scalars of a model's header that are not about its file. */
export function metadataOf({ facts }: Pick<GgufHead, "facts">): Readonly<Record<string, GgufScalar>> {
  const entries = [...facts].filter(([key]) => key !== CHAT_TEMPLATE && !key.startsWith("split."));
  // JSON has no infinity.
  return Object.fromEntries(entries.filter(([, value]) => typeof value !== "number" || Number.isFinite(value)));
}

/** K and V of every layer; unknown if layers differ. */
function bytesPerToken(number: (key: string) => number | undefined): number | undefined {
  const [layers, width, heads] = [number("block_count"), number("embedding_length"), number("attention.head_count")];
  const kvHeads = number("attention.head_count_kv") ?? heads;
  if (layers === undefined || width === undefined || !heads || kvHeads === undefined) return undefined;
  const each = width / heads;
  const [key, value] = [number("attention.key_length") ?? each, number("attention.value_length") ?? each];
  return layers * kvHeads * (key + value) * CACHE_BYTES;
}
