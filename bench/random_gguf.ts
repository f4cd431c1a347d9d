/**
 * Writes a Llama model of a given shape with random Q8_0 weights and another model's tokenizer, which talks nonsense at
 * the speed of its size. Only for timing.
 */
import {
  fileHead,
  type GgufMetadata,
  type GgufValue,
  padding,
  readMetadata,
  tensorBytes,
  type TensorHead,
} from "./gguf.ts";

/** Shape of a Llama model. */
export interface LlamaShape {
  readonly width: number;
  readonly layers: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly kvHeads: number;
}

/** 203 million parameters are read for each token. */
export const BENCH_SHAPE: LlamaShape = { width: 1024, layers: 16, feedForward: 3072, heads: 16, kvHeads: 8 };

/** 8 thousand million parameters with this vocabulary, as in Llama 3. */
export const LARGE_SHAPE: LlamaShape = { width: 4096, layers: 32, feedForward: 14_336, heads: 32, kvHeads: 8 };
export const LARGE_VOCABULARY = 128_256;

/** With a vocabulary as large as in newer model families, which dominates its time. */
export const WIDE_VOCABULARY_SHAPE: LlamaShape = { width: 512, layers: 4, feedForward: 1024, heads: 8, kvHeads: 4 };
export const WIDE_VOCABULARY = 150_000;

const CONTEXT_TOKENS = 16_384;
const NORMAL_TOKEN = 1;
const MOSTLY_Q8_0 = 7;
const Q8_BLOCK_BYTES = 34;
/** 2⁻¹² as a half float: the block scale that gives uniform bytes a standard deviation of 0.018. */
const Q8_SCALE = 0x0c00;
const CHUNK_BLOCKS = 64 * 1024;
/** Plain ChatML, so that every server renders the same prompt. */
const CHAT_TEMPLATE = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + " +
  "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/**
 * Write such a model.
 *
 * @param path Path of the model; written under a temporary name first, so that the file is always complete.
 * @param options Source of the tokenizer, shape, seed, progress; `vocabulary`: number of tokens, padded with words that
 * occur in no text; `template`: replaces ChatML; `sameLayers`: every layer has the first one's weights, which takes a
 * large model's writing from minutes to seconds; `recites`: lists of vocabulary tokens in which each token always
 * follows the one before, whatever the context. Layers then compute as usual but add nothing, so that a model with
 * fewer layers and the same seed gives the same output.
 */
export async function writeRandomModel(
  path: string,
  options: {
    readonly tokenizerFrom: string;
    readonly shape: LlamaShape;
    readonly seed: number;
    readonly vocabulary?: number;
    readonly template?: string;
    readonly sameLayers?: boolean;
    readonly recites?: readonly (readonly string[])[];
    readonly onProgress?: (fraction: number) => void;
  },
): Promise<void> {
  const source = readMetadata(await Deno.readFile(options.tokenizerFrom));
  if (options.vocabulary !== undefined) fillUp(source, options.vocabulary);
  const drawable = drawableTokens(source);
  const tensors = tensorsOf(options.shape, drawable.length);
  const total = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  const random = new RandomBlocks(options.seed, options.sameLayers);
  const recital = options.recites && new Recital(source, options.recites);
  const partial = `${path}.partial`;
  let written = 0;
  {
    using file = await Deno.open(partial, { create: true, write: true, truncate: true });
    await writeAll(file, fileHead(metadataOf(source, options), tensors));
    for (const tensor of tensors) {
      const bytes = tensorBytes(tensor);
      const parts = tensor.type === "f32" ? [ones(bytes)] : random.tensor(tensor, drawable);
      for (const plain of parts) {
        const part = recital?.change(tensor, plain, bytes) ?? plain;
        await writeAll(file, part);
        written += part.length;
        options.onProgress?.(written / total);
      }
      await writeAll(file, new Uint8Array(padding(bytes)));
    }
  }
  await Deno.rename(partial, path);
}

/**
 * Tokens the model may generate: plain ASCII text. Others (control, end-of-generation and partial-character tokens) get
 * a zero row in the output matrix, which never beats the best of two thousand random rows. So answers never end early,
 * and every token is one piece of text.
 */
function drawableTokens(metadata: GgufMetadata): boolean[] {
  const tokens = metadata.get("tokenizer.ggml.tokens")?.value;
  const types = metadata.get("tokenizer.ggml.token_type")?.value;
  if (!Array.isArray(tokens) || !Array.isArray(types)) throw new TypeError("The tokenizer's model lists no tokens");
  // Byte-level BPE writes a space as Ġ and a line feed as Ċ.
  return tokens.map((token, index) => types[index] === NORMAL_TOKEN && /^[\x21-\x7eĠĊ]+$/.test(String(token)));
}

/**
 * Tokens that are a word with a leading space, so that any text of them tokenizes to the same tokens.
 *
 * @param metadata Metadata with a byte-level vocabulary.
 * @returns The tokens as in the vocabulary.
 */
export function wordsOf(metadata: GgufMetadata): string[] {
  const tokens = metadata.get("tokenizer.ggml.tokens")?.value;
  return Array.isArray(tokens) ? tokens.map(String).filter((token) => /^Ġ[a-z]{3,}$/.test(token)) : [];
}

/** Pads the vocabulary with words of syllables and JSON punctuation. */
function fillUp(metadata: GgufMetadata, size: number): void {
  const tokens = metadata.get("tokenizer.ggml.tokens")?.value;
  const types = metadata.get("tokenizer.ggml.token_type")?.value;
  if (!Array.isArray(tokens) || !Array.isArray(types)) throw new TypeError("The tokenizer's model lists no tokens");
  const known = new Set(tokens.map(String));
  for (let number = 0; known.size < size; number++) {
    let word = number % 2 === 0 ? "Ġ" : "";
    for (let rest = number + 1; rest > 0; rest = Math.floor(rest / SYLLABLES.length)) {
      word += SYLLABLES[rest % SYLLABLES.length];
    }
    if (number % 20 === 0) word += MARKS[number / 20 % MARKS.length];
    if (known.has(word)) continue;
    known.add(word);
    (tokens as string[]).push(word);
    (types as number[]).push(NORMAL_TOKEN);
  }
}

const SYLLABLES = "an er in th re on at en st ing es or al te co de ra un li ma".split(" ");
const MARKS = ['"', '",', '":', "}", "]", ",", ":", "'", ">", ")", "=", ".", "0", "_"];

function metadataOf(
  source: GgufMetadata,
  { shape, template = CHAT_TEMPLATE }: { readonly shape: LlamaShape; readonly template?: string },
): GgufMetadata {
  const uint = (value: number): GgufValue => ({ type: "uint32", value });
  const float = (value: number): GgufValue => ({ type: "float32", value });
  const text = (value: string): GgufValue => ({ type: "string", value });
  return new Map<string, GgufValue>([
    ["general.architecture", text("llama")],
    ["general.name", text("random")],
    ["general.file_type", uint(MOSTLY_Q8_0)],
    ["llama.context_length", uint(CONTEXT_TOKENS)],
    ["llama.embedding_length", uint(shape.width)],
    ["llama.block_count", uint(shape.layers)],
    ["llama.feed_forward_length", uint(shape.feedForward)],
    ["llama.attention.head_count", uint(shape.heads)],
    ["llama.attention.head_count_kv", uint(shape.kvHeads)],
    ["llama.attention.layer_norm_rms_epsilon", float(1e-5)],
    ["llama.rope.dimension_count", uint(shape.width / shape.heads)],
    ["llama.rope.freq_base", float(10_000)],
    ...[...source].filter(([key]) => key.startsWith("tokenizer.ggml.")),
    ["tokenizer.chat_template", text(template)],
  ]);
}

function tensorsOf(shape: LlamaShape, vocabulary: number): TensorHead[] {
  const { width, feedForward } = shape;
  const kvWidth = width / shape.heads * shape.kvHeads;
  const matrix = (name: string, rows: number, columns: number): TensorHead => ({
    name: `${name}.weight`,
    dimensions: [columns, rows],
    type: "q8_0",
  });
  const norm = (name: string): TensorHead => ({ name: `${name}.weight`, dimensions: [width], type: "f32" });
  return [
    matrix("token_embd", vocabulary, width),
    norm("output_norm"),
    matrix("output", vocabulary, width),
    ...Array.from({ length: shape.layers }, (_, layer) => `blk.${layer}`).flatMap((block) => [
      norm(`${block}.attn_norm`),
      norm(`${block}.ffn_norm`),
      matrix(`${block}.attn_q`, width, width),
      matrix(`${block}.attn_k`, kvWidth, width),
      matrix(`${block}.attn_v`, kvWidth, width),
      matrix(`${block}.attn_output`, width, width),
      matrix(`${block}.ffn_gate`, feedForward, width),
      matrix(`${block}.ffn_up`, feedForward, width),
      matrix(`${block}.ffn_down`, width, feedForward),
    ]),
  ];
}

/** Tensors whose output a layer adds to the residual stream. */
const ADDED = /\.(attn_output|ffn_down)\.weight$/;

/**
 * Makes a model always follow a token by the same one: in the output matrix, the successor's row is the token's own
 * embedding, which no other embedding is close to.
 */
class Recital {
  /** Predecessor of each token. */
  readonly #before = new Map<number, number>();
  /** The embedding matrix, as far as it was written. */
  readonly #vectors: Uint8Array[] = [];

  constructor(metadata: GgufMetadata, lists: readonly (readonly string[])[]) {
    const tokens = metadata.get("tokenizer.ggml.tokens")?.value;
    if (!Array.isArray(tokens)) throw new TypeError("The tokenizer's model lists no tokens");
    const index = new Map(tokens.map((token, index) => [String(token), index]));
    const idOf = (token: string): number => {
      const id = index.get(token);
      if (id === undefined) throw new TypeError(`The tokenizer's model knows no token ${JSON.stringify(token)}`);
      return id;
    };
    for (const list of lists) {
      for (const [at, token] of list.slice(1).entries()) this.#before.set(idOf(token), idOf(list[at] as string));
    }
  }

  /** The bytes to write instead of a tensor's; the output matrix must be one part. */
  change(head: TensorHead, part: Uint8Array<ArrayBuffer>, whole: number): Uint8Array<ArrayBuffer> | undefined {
    if (head.name === "token_embd.weight") this.#vectors.push(part);
    if (ADDED.test(head.name)) return new Uint8Array(part.length);
    if (head.name !== "output.weight") return undefined;
    if (part.length !== whole) throw new RangeError("A model with so many tokens cannot recite");
    const [vectors] = this.#vectors;
    const row = (head.dimensions[0] ?? 0) / 32 * Q8_BLOCK_BYTES;
    const output = new Uint8Array(part.length);
    for (const [token, before] of this.#before) {
      output.set(vectors?.subarray(before * row, (before + 1) * row) ?? [], token * row);
    }
    return output;
  }
}

function ones(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Float32Array(bytes / 4).fill(1).buffer);
}

/** Random Q8_0 data, deterministic by seed. */
class RandomBlocks {
  #state: number;
  /** Parts of the first layer's tensors by name, if the others are the same. */
  readonly #first: Map<string, Uint8Array<ArrayBuffer>[]> | undefined;

  constructor(seed: number, sameLayers = false) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0 || 1;
    this.#first = sameLayers ? new Map() : undefined;
  }

  tensor(head: TensorHead, drawable: readonly boolean[]): Iterable<Uint8Array<ArrayBuffer>> {
    const [, name] = /^blk\.\d+\.(.*)$/.exec(head.name) ?? [];
    if (this.#first === undefined || name === undefined) return this.#drawn(head, drawable);
    const parts = this.#first.get(name) ?? [...this.#drawn(head, drawable)];
    this.#first.set(name, parts);
    return parts;
  }

  *#drawn(head: TensorHead, drawable: readonly boolean[]): Generator<Uint8Array<ArrayBuffer>> {
    const rowBlocks = (head.dimensions[0] ?? 0) / 32;
    const blocks = tensorBytes(head) / Q8_BLOCK_BYTES;
    for (let first = 0; first < blocks; first += CHUNK_BLOCKS) {
      const count = Math.min(CHUNK_BLOCKS, blocks - first);
      const bytes = new Uint8Array(count * Q8_BLOCK_BYTES);
      const words = new Uint16Array(bytes.buffer);
      let at = 0;
      for (let block = 0; block < count; block++) {
        const silent = head.name === "output.weight" && !drawable[Math.floor((first + block) / rowBlocks)];
        words[at++] = Q8_SCALE;
        for (let pair = 0; pair < 16; pair++) words[at++] = silent ? 0 : this.#next();
      }
      yield bytes;
    }
  }

  /** Xorshift: two random bytes from the middle of the state. */
  #next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 8) & 0xffff;
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}
