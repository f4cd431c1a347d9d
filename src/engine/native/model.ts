/** A loaded model: file, metadata and vocabulary. Tokenizes and detokenizes; `context.ts` decodes. */
import { LargePages } from "./libc/large_pages.ts";
import { checkWeights, copiesWeights } from "./memory.ts";
import { checkFile, headSizeOf, ModelError, peek } from "./first_look.ts";
import { type Backends, cString, dataView, type Library, MODEL_PARAM } from "./library.ts";
import { type InfillTokens, infillTokensOf } from "./infill_tokens.ts";
import { LoadProgress } from "./load_progress.ts";
import type { NativeSettings } from "../ipc/messages.ts";
import { applyToModel, cacheBytes, loadAdapters, type LoadedAdapter } from "./settings.ts";
import { LIBRARY_VERSION } from "../../libraries/library_files.ts";

export interface SpecialToken {
  readonly token: number;
  readonly name: string;
  /** Control token; otherwise user-defined, which is text unless it is part of a marker. */
  readonly control: boolean;
}

/** Control tokens that chat templates may reference by name; -1 if the model has none. */
export interface NamedTokens {
  readonly BOS: number;
  readonly EOS: number;
  readonly NL: number;
  readonly EOT: number;
  readonly SEP: number;
}

const VOCABULARY_NONE = 0;
const VOCABULARY_SPM = 1;
/** `llama_token_attr`. */
const ATTRIBUTE_CONTROL = 1 << 3;
const ATTRIBUTE_USER_DEFINED = 1 << 4;
/** Buffer size for one token's bytes; longer ones are requested again. */
const PIECE_BYTES = 256;
/** Smaller attention heads do not fill an AVX-512 vector. */
const NARROW_HEAD = 64;
/** GGUF key of chat templates. */
const CHAT_TEMPLATE = "tokenizer.chat_template";

/** Maximum tokens of a text beyond its byte length. */
const SPARE_TOKENS = 8;

const NOT_TEXT = Symbol("bytes that are not whole characters");

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const decoder = new TextDecoder();

export interface LoadOptions {
  /** Number of layers to offload to the accelerator. */
  readonly gpuLayers?: number;
  /** Available memory in bytes. */
  readonly available?: number;
  /** Load only metadata and vocabulary. */
  readonly vocabularyOnly?: boolean;
  /** Called with the reason when falling back to the CPU. */
  readonly onFailure?: (reason: string) => void;
  /** Called a few times a second with the share of the weights that is loaded. */
  readonly onProgress?: (share: number) => void;
  /** What computes, where another model was loaded before; absent: the library's code is loaded first. */
  readonly beside?: Pick<Model, "accelerator">;
  /** Operator settings. */
  readonly settings?: NativeSettings;
  /** Overrides the file's chat template. */
  readonly chatTemplate?: string;
}

export class Model {
  readonly #library: Library;
  readonly #vocabulary: NonNullable<Deno.PointerValue>;
  readonly #pieces: (Uint8Array | undefined)[];
  readonly #texts: (string | typeof NOT_TEXT | undefined)[];
  /** End-of-generation tokens. */
  readonly #ending: ReadonlySet<number>;
  readonly #pieceBuffer = new Uint8Array(PIECE_BYTES);
  #tokenBuffer = new Int32Array(1024);
  #textBuffer = new Uint8Array(4096);

  readonly handle: NonNullable<Deno.PointerValue>;
  /** Accelerator in use, or `cpu`. */
  readonly accelerator: string;
  /** GGUF metadata scalars by key. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly vocabularySize: number;
  readonly trainedContextTokens: number;
  readonly layers: number;
  /** Size of the weights. */
  readonly bytes: number;
  /** KV cache bytes per token; 0 if unknown. */
  readonly bytesPerToken: number;
  readonly named: NamedTokens;
  /** Tokens for filling in text; absent: it cannot. */
  readonly infill: InfillTokens | undefined;
  /** Whether the tokenizer adds a space before every text. */
  readonly spacePrefix: boolean;
  readonly addsBos: boolean;
  readonly addsEos: boolean;
  readonly addsSep: boolean;
  /** Whether it generates text token by token. */
  readonly generates: boolean;
  /** Encoder-only architecture. */
  readonly encoderOnly: boolean;
  readonly encoderDecoder: boolean;
  /** Whether it has a ranking head. */
  readonly ranks: boolean;
  /** Embedding length. */
  readonly vectorSize: number;
  /** Whether sequences cannot be truncated (recurrent memory). */
  readonly wholeSequencesOnly: boolean;
  /** Bytes of the longest token. */
  readonly longestPiece: number;
  /** Control tokens and user-defined tokens. */
  readonly specialTokens: readonly SpecialToken[];
  /** Settings for contexts. */
  readonly settings: NativeSettings;
  /** LoRA adapters for contexts. */
  readonly adapters: readonly LoadedAdapter[];

  private constructor(
    library: Library,
    handle: NonNullable<Deno.PointerValue>,
    { accelerator, ranks, adapters, settings = {}, chatTemplate }: {
      readonly accelerator: string;
      readonly ranks: boolean;
      readonly adapters: readonly LoadedAdapter[];
    } & LoadOptions,
  ) {
    const { llama } = library;
    this.#library = library;
    this.handle = handle;
    this.accelerator = accelerator;
    this.ranks = ranks;
    this.adapters = adapters;
    this.settings = settings;
    const vocabulary = llama.llama_model_get_vocab(handle);
    if (vocabulary === null || llama.llama_vocab_type(vocabulary) === VOCABULARY_NONE) {
      throw new ModelError("it has no vocabulary");
    }
    const reads = llama.llama_model_has_encoder(handle);
    const writes = llama.llama_model_has_decoder(handle);
    this.generates = !reads && !llama.llama_model_is_diffusion(handle);
    this.encoderOnly = reads && !writes;
    this.encoderDecoder = reads && writes;
    this.vectorSize = llama.llama_model_n_embd_out(handle);
    this.#vocabulary = vocabulary;
    this.metadata = withTemplate(readMetadata(library, handle), chatTemplate);
    this.vocabularySize = llama.llama_vocab_n_tokens(vocabulary);
    this.trainedContextTokens = llama.llama_model_n_ctx_train(handle);
    this.layers = llama.llama_model_n_layer(handle);
    this.bytes = Number(llama.llama_model_size(handle));
    this.bytesPerToken = this.layers * attentionBytes(this.metadata, cacheBytes(settings));
    this.named = {
      BOS: llama.llama_vocab_bos(vocabulary),
      EOS: llama.llama_vocab_eos(vocabulary),
      NL: llama.llama_vocab_nl(vocabulary),
      EOT: llama.llama_vocab_eot(vocabulary),
      SEP: llama.llama_vocab_sep(vocabulary),
    };
    this.infill = infillTokensOf(library, vocabulary);
    this.spacePrefix = llama.llama_vocab_type(vocabulary) === VOCABULARY_SPM;
    this.addsBos = llama.llama_vocab_get_add_bos(vocabulary);
    this.addsEos = llama.llama_vocab_get_add_eos(vocabulary);
    this.addsSep = llama.llama_vocab_get_add_sep(vocabulary);
    this.wholeSequencesOnly = llama.llama_model_is_recurrent(handle) || llama.llama_model_is_hybrid(handle);
    this.#pieces = new Array(this.vocabularySize);
    this.#texts = new Array(this.vocabularySize);
    let longest = 1;
    const special: SpecialToken[] = [];
    const ending = new Set<number>();
    for (let token = 0; token < this.vocabularySize; token++) {
      if (llama.llama_vocab_is_eog(vocabulary, token)) ending.add(token);
      const length = -llama.llama_token_to_piece(vocabulary, token, this.#pieceBuffer, 0, 0, true);
      if (length > longest) longest = length;
      const attributes = llama.llama_vocab_get_attr(vocabulary, token);
      if ((attributes & (ATTRIBUTE_CONTROL | ATTRIBUTE_USER_DEFINED)) === 0) continue;
      special.push({ token, name: this.describe(token), control: (attributes & ATTRIBUTE_CONTROL) !== 0 });
    }
    this.#ending = ending;
    this.longestPiece = longest;
    this.specialTokens = special;
  }

  /**
   * Load a model.
   *
   * @param paths Its file, or the files of a split model in order.
   * @throws {ModelError} If it is missing, truncated, not GGUF, not supported, or does not fit into memory.
   */
  static load(
    library: Library,
    paths: readonly string[],
    options: LoadOptions,
  ): Model {
    const [path = ""] = paths;
    for (const one of paths) checkFile(one);
    const { headSize, pools, ranks } = peek(library, paths);
    // Encoders multiply large matrices, where AVX-512 is faster.
    const narrow = headSize < NARROW_HEAD && !pools;
    const { accelerator, failure }: Backends = options.beside ?? library.loadBackends({ narrow });
    if (failure !== undefined) options.onFailure?.(failure);
    const bytes = paths.reduce((sum, one) => sum + Deno.statSync(one).size, 0);
    if (accelerator === "cpu" && !options.vocabularyOnly) checkWeights(path, bytes, options.available ?? Infinity);
    const params = library.llama.llama_model_default_params();
    if (options.gpuLayers !== undefined) {
      dataView(params).setInt32(MODEL_PARAM.gpuLayers, options.gpuLayers, true);
    }
    if (options.vocabularyOnly) dataView(params).setUint8(MODEL_PARAM.vocabOnly, 1);
    const { settings = {}, available = Infinity } = options;
    const largePages = accelerator === "cpu" ? LargePages.of() : undefined;
    const mapped = settings.mmap ?? !(largePages !== undefined && copiesWeights(bytes, available));
    const pointed = applyToModel(params, mapped ? settings : { ...settings, mmap: false });
    using progress = new LoadProgress(options.onProgress, () => largePages?.use());
    // More than fits into memory would be read twice.
    if (mapped && bytes < available) progress.read(paths);
    progress.watch(params);
    const handle = loadFiles(library, paths, params);
    // Keeps the memory that the struct points to alive until here.
    pointed.fill(0);
    if (handle === null) {
      throw new ModelError(
        `Cannot load "${path}": ${
          library.takeError() ?? `it is damaged, or llama.cpp of node-llama-cpp ${LIBRARY_VERSION} does not support it`
        }`,
      );
    }
    const adapters = options.vocabularyOnly ? [] : loadAdapters(library, handle, settings);
    if (typeof adapters === "string") {
      throw new ModelError(
        `Cannot apply the LoRA "${adapters}" to "${path}": ${library.takeError() ?? "it is damaged"}`,
      );
    }
    try {
      return new Model(library, handle, { ...options, accelerator, ranks, adapters });
    } catch (error) {
      if (error instanceof ModelError) throw new ModelError(`Cannot use "${path}": ${error.message}`);
      throw error;
    }
  }

  /** @param special Whether to parse the names of control tokens. Never true for user text. */
  tokenize(text: string, special: boolean): Int32Array {
    return text === "" ? new Int32Array(0) : this.#tokenize(text, { special, ends: false });
  }

  /**
   * Tokenize on another thread.
   *
   * @param special As in `tokenize`.
   * @param ends Whether to add BOS and EOS as the model does.
   */
  async tokenizeBeside(text: string, special: boolean, ends = false): Promise<Int32Array> {
    const bytes = encoder.encode(text);
    // At most one token per byte, plus tokens added around the text.
    let tokens = new Int32Array(bytes.length + SPARE_TOKENS);
    const { llama } = this.#library;
    const call = (): Promise<number> =>
      llama.llama_tokenize_beside(this.#vocabulary, bytes, bytes.length, tokens, tokens.length, ends, special);
    let count = await call();
    if (count < 0) {
      tokens = new Int32Array(-count);
      count = await call();
    }
    return tokens.slice(0, count);
  }

  /**
   * Tokenize a complete text, adding BOS and EOS as the model does.
   *
   * @param special As in `tokenize`; default false.
   */
  tokenizeWhole(text: string, special = false): Int32Array {
    return this.#tokenize(text, { special, ends: true });
  }

  #tokenize(text: string, { special, ends }: { readonly special: boolean; readonly ends: boolean }): Int32Array {
    if (this.#textBuffer.length < text.length * 3) this.#textBuffer = new Uint8Array(text.length * 3);
    const bytes = encoder.encodeInto(text, this.#textBuffer).written;
    const { llama } = this.#library;
    const call = (): number =>
      llama.llama_tokenize(
        this.#vocabulary,
        this.#textBuffer,
        bytes,
        this.#tokenBuffer,
        this.#tokenBuffer.length,
        ends,
        special,
      );
    let count = call();
    if (count < 0) {
      this.#tokenBuffer = new Int32Array(-count);
      count = call();
    }
    return this.#tokenBuffer.slice(0, count);
  }

  /** Bytes of a token in the answer; empty for control tokens. Read-only. */
  piece(token: number): Uint8Array {
    return this.#pieces[token] ??= this.#renderPiece(token, false);
  }

  /** The same as text; `undefined` if it is not whole characters. */
  pieceText(token: number): string | undefined {
    const known = this.#texts[token];
    if (known !== undefined) return known === NOT_TEXT ? undefined : known;
    let text: string | typeof NOT_TEXT;
    try {
      text = strictDecoder.decode(this.piece(token));
    } catch {
      text = NOT_TEXT;
    }
    this.#texts[token] = text;
    return text === NOT_TEXT ? undefined : text;
  }

  /** Text of a token, or the name of a control token. */
  describe(token: number): string {
    return decoder.decode(this.#renderPiece(token, true));
  }

  /**
   * Whether a token is the same in another model: the same text, or the same control token.
   *
   * @param token The token, known to both.
   */
  sharesToken(token: number, other: Model): boolean {
    const own = this.#renderPiece(token, true);
    const piece = other.#renderPiece(token, true);
    return own.length === piece.length && own.every((byte, at) => byte === piece[at]);
  }

  endsAnswer(token: number): boolean {
    return this.#ending.has(token);
  }

  isControl(token: number): boolean {
    return this.#library.llama.llama_vocab_is_control(this.#vocabulary, token);
  }

  #renderPiece(token: number, special: boolean): Uint8Array {
    const { llama } = this.#library;
    let buffer = this.#pieceBuffer;
    let length = llama.llama_token_to_piece(this.#vocabulary, token, buffer, buffer.length, 0, special);
    if (length < 0) {
      buffer = new Uint8Array(-length);
      length = llama.llama_token_to_piece(this.#vocabulary, token, buffer, buffer.length, 0, special);
    }
    return buffer.slice(0, length);
  }
}

function loadFiles({ llama }: Library, paths: readonly string[], params: Uint8Array<ArrayBuffer>): Deno.PointerValue {
  const names = paths.map(cString);
  const [first] = names;
  if (first !== undefined && names.length === 1) return llama.llama_model_load_from_file(first, params);
  // Array of pointers. Their targets must stay alive during the call, so `names` is used after it.
  const pointers = new BigUint64Array(names.map((name) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(name))));
  const handle = llama.llama_model_load_from_splits(new Uint8Array(pointers.buffer), BigInt(names.length), params);
  return names.length > 0 ? handle : null;
}

function readMetadata(library: Library, model: NonNullable<Deno.PointerValue>): Map<string, string> {
  const { llama } = library;
  let buffer = new Uint8Array(4096);
  const read = (call: (buffer: Uint8Array<ArrayBuffer>) => number): string => {
    let length = call(buffer);
    if (length >= buffer.length) {
      buffer = new Uint8Array(length + 1);
      length = call(buffer);
    }
    return length < 0 ? "" : decoder.decode(buffer.subarray(0, length));
  };
  const metadata = new Map<string, string>();
  for (let i = 0; i < llama.llama_model_meta_count(model); i++) {
    const key = read((b) => llama.llama_model_meta_key_by_index(model, i, b, BigInt(b.length)));
    metadata.set(key, read((b) => llama.llama_model_meta_val_str_by_index(model, i, b, BigInt(b.length))));
  }
  return metadata;
}

/** KV cache bytes per token and layer; 0 if unknown. */
function attentionBytes(metadata: ReadonlyMap<string, string>, [k, v]: readonly [k: number, v: number]): number {
  const number = (key: string): number => Number(metadata.get(`${metadata.get("general.architecture")}.${key}`)) || 0;
  const headSize = headSizeOf(number);
  const valueSize = number("attention.value_length") || headSize;
  const keyHeads = number("attention.head_count_kv") || number("attention.head_count");
  return keyHeads === 0 ? 0 : keyHeads * (headSize * k + valueSize * v);
}

/** Replaces all chat templates in the metadata. */
function withTemplate(metadata: Map<string, string>, template: string | undefined): Map<string, string> {
  if (template === undefined) return metadata;
  const others = [...metadata].filter(([key]) => key !== CHAT_TEMPLATE && !key.startsWith(`${CHAT_TEMPLATE}.`));
  return new Map(others).set(CHAT_TEMPLATE, template);
}
