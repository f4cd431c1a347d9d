/**
 * FFI bindings of llama.cpp and ggml: symbols and struct offsets. Structs passed by value are opaque words; fields that
 * we set or check are accessed by offset. The layout belongs to one build of llama.cpp, so its version is pinned and
 * known defaults are checked on opening.
 */
import type { Accelerator } from "../../libraries/accelerator.ts";
import { loadNarrowCode } from "./cpu/cpu_code.ts";
import { loadPackagedCode } from "./cpu/packaged_code.ts";
import { findLibrary, LIBRARY_VERSION, LibraryError } from "../../libraries/library_files.ts";
import { memoryCopy, nativePrint } from "./libc/c_library.ts";
import { errorText } from "../../log/error_text.ts";

/** Versions the libraries must report; custom builds must match too. */
const LLAMA_VERSION = "0.4.0";
const GGML_VERSION = "0.23.0";

/** By-value structs: only size, alignment, and passing in memory (over 16 bytes) matter to the caller. */
const MODEL_PARAMS = { struct: ["u64", "u64", "u64", "u64", "u64", "u64", "u64", "u64", "u64", "u64"] } as const;
const CONTEXT_PARAMS = {
  struct: [...MODEL_PARAMS.struct, ...MODEL_PARAMS.struct] as const,
} as const;
const GGUF_PARAMS = { struct: ["bool", "pointer"] } as const;
const BATCH = { struct: ["i32", "pointer", "pointer", "pointer", "pointer", "pointer", "pointer"] } as const;

/** Byte offsets in `llama_model_params`. */
export const MODEL_PARAM = {
  gpuLayers: 16,
  splitMode: 20,
  loadMode: 24,
  mainGpu: 32,
  tensorSplit: 40,
  progressCallback: 48,
  vocabOnly: 72,
} as const;

/** Byte offsets in `llama_context_params`. */
export const CONTEXT_PARAM = {
  contextCells: 0,
  batch: 4,
  microBatch: 8,
  sequences: 12,
  outputsMax: 20,
  threads: 28,
  threadsBatch: 32,
  ropeScaling: 40,
  pooling: 44,
  flashAttention: 52,
  ropeFreqBase: 56,
  ropeFreqScale: 60,
  yarnExtFactor: 64,
  typeK: 104,
  typeV: 108,
  embeddings: 128,
  noPerf: 130,
  swaFull: 132,
  unified: 133,
} as const;

/** Byte offsets in `llama_batch`. */
export const BATCH_FIELD = { tokens: 0, token: 8, position: 24, sequenceCount: 32, sequence: 40, output: 48 } as const;

/** Byte offsets in `ggml_threadpool_params`, and its size. */
export const THREADPOOL_PARAM = { threads: 512, priority: 516, poll: 520, size: 528 } as const;

const DEVICE_GPU = 1;
const DEVICE_INTEGRATED_GPU = 2;
const LOG_LEVEL_WARN = 3;
const LOG_LEVEL_ERROR = 4;

const GGML_SYMBOLS = {
  ggml_backend_load: { parameters: ["buffer"], result: "pointer" },
  ggml_backend_load_all_from_path: { parameters: ["buffer"], result: "void" },
  ggml_backend_dev_count: { parameters: [], result: "usize" },
  ggml_backend_dev_get: { parameters: ["usize"], result: "pointer" },
  ggml_backend_dev_by_type: { parameters: ["i32"], result: "pointer" },
} as const;

const GGML_BASE_SYMBOLS = {
  ggml_version: { parameters: [], result: "pointer" },
  ggml_log_set: { parameters: ["function", "pointer"], result: "void" },
  gguf_init_from_file: { parameters: ["buffer", GGUF_PARAMS], result: "pointer" },
  gguf_free: { parameters: ["pointer"], result: "void" },
  gguf_find_key: { parameters: ["pointer", "buffer"], result: "i64" },
  gguf_get_kv_type: { parameters: ["pointer", "i64"], result: "i32" },
  gguf_get_val_u32: { parameters: ["pointer", "i64"], result: "u32" },
  gguf_get_val_str: { parameters: ["pointer", "i64"], result: "pointer" },
  gguf_find_tensor: { parameters: ["pointer", "buffer"], result: "i64" },
  ggml_backend_dev_type: { parameters: ["pointer"], result: "i32" },
  ggml_backend_dev_name: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_dev_backend_reg: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_reg_get_proc_address: { parameters: ["pointer", "buffer"], result: "pointer" },
  ggml_threadpool_params_init: { parameters: ["buffer", "i32"], result: "void" },
} as const;

const LLAMA_SYMBOLS = {
  llama_version: { parameters: [], result: "pointer" },
  llama_backend_init: { parameters: [], result: "void" },
  llama_log_set: { parameters: ["function", "pointer"], result: "void" },
  llama_model_default_params: { parameters: [], result: MODEL_PARAMS },
  llama_context_default_params: { parameters: [], result: CONTEXT_PARAMS },
  llama_model_load_from_file: { parameters: ["buffer", MODEL_PARAMS], result: "pointer" },
  llama_model_load_from_splits: { parameters: ["buffer", "usize", MODEL_PARAMS], result: "pointer" },
  llama_init_from_model: { parameters: ["pointer", CONTEXT_PARAMS], result: "pointer" },
  llama_adapter_lora_init: { parameters: ["pointer", "buffer"], result: "pointer" },
  llama_set_adapters_lora: { parameters: ["pointer", "buffer", "usize", "buffer"], result: "i32" },
  llama_free: { parameters: ["pointer"], result: "void" },
  llama_attach_threadpool: { parameters: ["pointer", "pointer", "pointer"], result: "void" },
  llama_set_n_threads: { parameters: ["pointer", "i32", "i32"], result: "void" },
  llama_n_ctx: { parameters: ["pointer"], result: "u32" },
  llama_get_memory: { parameters: ["pointer"], result: "pointer" },
  llama_set_abort_callback: { parameters: ["pointer", "function", "pointer"], result: "void" },
  llama_model_get_vocab: { parameters: ["pointer"], result: "pointer" },
  llama_model_n_ctx_train: { parameters: ["pointer"], result: "i32" },
  llama_model_n_swa: { parameters: ["pointer"], result: "i32" },
  llama_model_n_layer: { parameters: ["pointer"], result: "i32" },
  llama_model_n_embd_out: { parameters: ["pointer"], result: "i32" },
  llama_model_size: { parameters: ["pointer"], result: "u64" },
  llama_model_has_encoder: { parameters: ["pointer"], result: "bool" },
  llama_model_has_decoder: { parameters: ["pointer"], result: "bool" },
  llama_model_is_recurrent: { parameters: ["pointer"], result: "bool" },
  llama_model_is_hybrid: { parameters: ["pointer"], result: "bool" },
  llama_model_is_diffusion: { parameters: ["pointer"], result: "bool" },
  llama_model_meta_count: { parameters: ["pointer"], result: "i32" },
  llama_model_meta_key_by_index: { parameters: ["pointer", "i32", "buffer", "usize"], result: "i32" },
  llama_model_meta_val_str_by_index: { parameters: ["pointer", "i32", "buffer", "usize"], result: "i32" },
  llama_vocab_type: { parameters: ["pointer"], result: "i32" },
  llama_vocab_n_tokens: { parameters: ["pointer"], result: "i32" },
  llama_vocab_get_attr: { parameters: ["pointer", "i32"], result: "i32" },
  llama_vocab_is_eog: { parameters: ["pointer", "i32"], result: "bool" },
  llama_vocab_is_control: { parameters: ["pointer", "i32"], result: "bool" },
  llama_vocab_bos: { parameters: ["pointer"], result: "i32" },
  llama_vocab_eos: { parameters: ["pointer"], result: "i32" },
  llama_vocab_eot: { parameters: ["pointer"], result: "i32" },
  llama_vocab_sep: { parameters: ["pointer"], result: "i32" },
  llama_vocab_fim_pre: { parameters: ["pointer"], result: "i32" },
  llama_vocab_fim_suf: { parameters: ["pointer"], result: "i32" },
  llama_vocab_fim_mid: { parameters: ["pointer"], result: "i32" },
  llama_vocab_fim_rep: { parameters: ["pointer"], result: "i32" },
  llama_vocab_fim_sep: { parameters: ["pointer"], result: "i32" },
  llama_vocab_nl: { parameters: ["pointer"], result: "i32" },
  llama_vocab_get_add_bos: { parameters: ["pointer"], result: "bool" },
  llama_vocab_get_add_eos: { parameters: ["pointer"], result: "bool" },
  llama_vocab_get_add_sep: { parameters: ["pointer"], result: "bool" },
  llama_tokenize: { parameters: ["pointer", "buffer", "i32", "buffer", "i32", "bool", "bool"], result: "i32" },
  llama_tokenize_beside: {
    name: "llama_tokenize",
    parameters: ["pointer", "buffer", "i32", "buffer", "i32", "bool", "bool"],
    result: "i32",
    nonblocking: true,
  },
  llama_token_to_piece: { parameters: ["pointer", "i32", "buffer", "i32", "i32", "bool"], result: "i32" },
  llama_batch_init: { parameters: ["i32", "i32", "i32"], result: BATCH },
  llama_decode: { parameters: ["pointer", BATCH], result: "i32" },
  llama_encode: { parameters: ["pointer", BATCH], result: "i32" },
  llama_decode_beside: { name: "llama_decode", parameters: ["pointer", BATCH], result: "i32", nonblocking: true },
  llama_encode_beside: { name: "llama_encode", parameters: ["pointer", BATCH], result: "i32", nonblocking: true },
  llama_get_embeddings_seq: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_get_logits: { parameters: ["pointer"], result: "pointer" },
  llama_memory_clear: { parameters: ["pointer", "bool"], result: "void" },
  llama_memory_seq_rm: { parameters: ["pointer", "i32", "i32", "i32"], result: "bool" },
  llama_state_seq_get_size: { parameters: ["pointer", "i32"], result: "usize" },
  llama_state_seq_get_data: { parameters: ["pointer", "buffer", "usize", "i32"], result: "usize" },
  llama_state_seq_set_data: { parameters: ["pointer", "buffer", "usize", "i32"], result: "usize" },
  llama_memory_seq_cp: { parameters: ["pointer", "i32", "i32", "i32", "i32"], result: "void" },
} as const;

type Symbols<S extends Deno.ForeignLibraryInterface> = Deno.DynamicLibrary<S>["symbols"];

export interface LibrarySource {
  /** Holds `libllama`, `libggml`, `libggml-base` and the CPU backends. */
  readonly folder: string;
  /** A custom build: every backend in the folder is loaded. */
  readonly own: boolean;
  /** Accelerator to load; absent: none, unless it is a custom build. */
  readonly accelerator?: AcceleratorSource;
}

/** An accelerator's library. */
export interface AcceleratorSource {
  readonly name: Exclude<Accelerator, "cpu">;
  readonly folder: string;
  /** System libraries to open first. */
  readonly preload: readonly string[];
  /** Whether to fall back to the CPU. */
  readonly optional: boolean;
}

export interface Backends {
  /** `cuda`, `metal` or `vulkan`; `cpu` without an accelerator. */
  readonly accelerator: string;
  /** Why the requested accelerator is not used. */
  readonly failure?: string;
}

export interface Library {
  readonly llama: Symbols<typeof LLAMA_SYMBOLS>;
  readonly ggml: Symbols<typeof GGML_SYMBOLS>;
  readonly base: Symbols<typeof GGML_BASE_SYMBOLS>;
  /**
   * Load all backends, and the CPU variant best for this machine. Called once, before a model is loaded.
   *
   * @param options.narrow Whether attention heads are smaller than AVX-512 vectors. AVX-512 code then falls back to
   * scalar operations, and AVX2 code is up to twice as fast.
   */
  loadBackends(options: { readonly narrow: boolean }): Backends;
  /**
   * Copy from native memory. Deno's own functions check a permission on each call, which a serving engine no longer
   * has.
   */
  copy(target: Float32Array<ArrayBuffer>, source: NonNullable<Deno.PointerValue>): void;
  /** First error logged by native code since the last call, without its function's name. */
  takeError(): string | undefined;
  /** Look in at each line that native code logs while loading; `undefined`: no more. */
  watchLog(look: (() => void) | undefined): void;
  /**
   * Ends loading: from now on native code logs to stderr.
   *
   * @param options.alone Whether only this thread calls the library from now on. llama.cpp's information is left out
   * then: it has a line for every change of the thread count, several in an answer, and two processes would read them.
   * On another thread the filter could not be called.
   * @param options.accelerator What computes. CUDA's library has a line for every step; it logs on the calling thread.
   */
  endLoading(options?: { readonly alone: boolean; readonly accelerator?: string }): void;
}

/** NUL-terminated string for C. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** @throws {LibraryError} If they are missing, or not of the pinned release. */
export function openLibrary({ folder, own, accelerator }: LibrarySource): Library {
  const base = open(folder, "ggml-base", GGML_BASE_SYMBOLS);
  const ggml = open(folder, "ggml", GGML_SYMBOLS);
  const llama = open(folder, "llama", LLAMA_SYMBOLS);
  checkVersion(folder, base, llama);
  let firstError: string | undefined;
  let lookIn: (() => void) | undefined;
  let print: ((text: Deno.PointerObject) => void) | undefined;
  const log = new Deno.UnsafeCallback(
    { parameters: ["i32", "pointer", "pointer"], result: "void" } as const,
    (level, text) => {
      lookIn?.();
      if (level < LOG_LEVEL_WARN || level > LOG_LEVEL_ERROR || text === null) return;
      if (print !== undefined) return print(text);
      const line = Deno.UnsafePointerView.getCString(text);
      console.error(line.trimEnd());
      if (level === LOG_LEVEL_ERROR) firstError ??= line.trim().replace(/^\w+: (error loading model: )?/, "");
    },
  );
  llama.llama_log_set(log.pointer, null);
  llama.llama_backend_init();
  checkDefaults(llama);
  const copyBytes = memoryCopy();
  const takeError = (): string | undefined => {
    const error = firstError;
    firstError = undefined;
    return error;
  };
  const load = (file: string): boolean => ggml.ggml_backend_load(cString(file)) !== null;
  return {
    llama,
    ggml,
    base,
    loadBackends({ narrow }): Backends {
      const failure = accelerator &&
        loadAccelerator(accelerator, { load, takeError, found: () => findGpu(ggml, base) });
      if (failure !== undefined && !accelerator?.optional) {
        throw new LibraryError(`Accelerator "${accelerator?.name}" cannot be used: ${failure}`);
      }
      if (!narrow || !loadNarrowCode(folder, load)) {
        if (own) ggml.ggml_backend_load_all_from_path(cString(folder));
        else loadPackagedCode(folder, load);
      }
      const computes = own ? findGpu(ggml, base) : failure === undefined ? accelerator?.name : undefined;
      return { accelerator: computes ?? "cpu", ...(failure === undefined ? {} : { failure }) };
    },
    copy(target, source): void {
      copyBytes(target, source, BigInt(target.byteLength));
    },
    takeError,
    watchLog: (look): void => void (lookIn = look),
    endLoading({ alone, accelerator: computes }: { alone: boolean; accelerator?: string } = { alone: false }): void {
      print = alone ? nativePrint() : undefined;
      if (print !== undefined) {
        // Threads that compute log here.
        if (computes !== "cuda") base.ggml_log_set(null, null);
        return;
      }
      llama.llama_log_set(null, null);
      log.close();
    },
  };
}

function open<S extends Deno.ForeignLibraryInterface>(folder: string, library: string, symbols: S): Symbols<S> {
  let file: string | undefined;
  try {
    file = findLibrary(folder, library);
    if (file !== undefined) return Deno.dlopen(file, symbols).symbols;
  } catch (error) {
    throw new LibraryError(`Cannot open the "${library}" library in "${folder}": ${errorText(error)}`, {
      cause: error,
    });
  }
  throw new LibraryError(`There is no "${library}" library in "${folder}"`);
}

/** Struct layouts of other releases differ, with undefined behaviour. */
function checkVersion(folder: string, base: Library["base"], llama: Library["llama"]): void {
  const found = { llama: text(llama.llama_version()), ggml: text(base.ggml_version()) };
  // Builds outside llama.cpp's own CI, such as npm's, append `-dev`.
  if (found.llama.replace(/-dev$/, "") === LLAMA_VERSION && found.ggml === GGML_VERSION) return;
  throw new LibraryError(
    `The libraries in "${folder}" are llama.cpp ${found.llama} with ggml ${found.ggml}; they must be llama.cpp ` +
      `${LLAMA_VERSION} with ggml ${GGML_VERSION}, of node-llama-cpp ${LIBRARY_VERSION}`,
  );
}

function text(pointer: Deno.PointerValue): string {
  return pointer === null ? "of unknown version" : Deno.UnsafePointerView.getCString(pointer);
}

/** Loads an accelerator's library; returns the reason if it is unusable. */
function loadAccelerator(
  { name, folder, preload }: AcceleratorSource,
  { load, takeError, found }: {
    readonly load: (file: string) => boolean;
    readonly takeError: Library["takeError"];
    readonly found: () => string | undefined;
  },
): string | undefined {
  try {
    // The loader resolves libraries by name once they are open.
    for (const file of preload) Deno.dlopen(file, {});
    const file = findLibrary(folder, `ggml-${name}`);
    if (file === undefined) return `there is no library for it in "${folder}"`;
    if (load(file) && found() !== undefined) return undefined;
  } catch (error) {
    return errorText(error);
  }
  return takeError() ?? "it finds no device";
}

/** Backend type of the first GPU, by its name. */
function findGpu(ggml: Library["ggml"], base: Library["base"]): string | undefined {
  for (let i = 0n; i < ggml.ggml_backend_dev_count(); i++) {
    const device = ggml.ggml_backend_dev_get(i);
    const type = base.ggml_backend_dev_type(device);
    const name = base.ggml_backend_dev_name(device);
    if ((type === DEVICE_GPU || type === DEVICE_INTEGRATED_GPU) && name !== null) {
      return Deno.UnsafePointerView.getCString(name).toLowerCase().replace(/\d+$/, "").replace(/^mtl$/, "metal");
    }
  }
  return undefined;
}

/** Compares known default parameters, to detect a different struct layout. */
function checkDefaults(llama: Library["llama"]): void {
  const model = dataView(llama.llama_model_default_params());
  const context = dataView(llama.llama_context_default_params());
  const F16 = 1;
  const fits = model.getInt32(MODEL_PARAM.gpuLayers, true) === -1 &&
    model.getInt32(MODEL_PARAM.splitMode, true) === 1 &&
    model.getInt32(MODEL_PARAM.loadMode, true) === -1 &&
    model.getInt32(MODEL_PARAM.mainGpu, true) === 0 &&
    model.getBigUint64(MODEL_PARAM.tensorSplit, true) === 0n &&
    model.getUint32(MODEL_PARAM.vocabOnly, true) === 0x00010000 && // only use_extra_bufts of the four
    context.getUint32(CONTEXT_PARAM.contextCells, true) === 512 &&
    context.getUint32(CONTEXT_PARAM.batch, true) === 2048 &&
    context.getUint32(CONTEXT_PARAM.microBatch, true) === 512 &&
    context.getUint32(CONTEXT_PARAM.sequences, true) === 1 &&
    context.getUint32(CONTEXT_PARAM.outputsMax, true) === 0 &&
    context.getInt32(CONTEXT_PARAM.pooling, true) === -1 &&
    context.getInt32(CONTEXT_PARAM.flashAttention, true) === -1 &&
    context.getInt32(CONTEXT_PARAM.ropeScaling, true) === -1 &&
    context.getFloat32(CONTEXT_PARAM.ropeFreqBase, true) === 0 &&
    context.getFloat32(CONTEXT_PARAM.ropeFreqScale, true) === 0 &&
    context.getFloat32(CONTEXT_PARAM.yarnExtFactor, true) === -1 &&
    context.getInt32(CONTEXT_PARAM.typeK, true) === F16 &&
    context.getInt32(CONTEXT_PARAM.typeV, true) === F16 &&
    context.getUint8(CONTEXT_PARAM.embeddings) === 0 &&
    context.getUint8(CONTEXT_PARAM.noPerf) === 1 &&
    context.getUint8(CONTEXT_PARAM.swaFull) === 1 &&
    context.getUint8(CONTEXT_PARAM.unified) === 0;
  if (!fits) {
    throw new LibraryError(
      `The native library is not the one of node-llama-cpp ${LIBRARY_VERSION}: its default parameters differ`,
    );
  }
}

/** View of a struct returned by value. */
export function dataView(struct: Uint8Array): DataView {
  return new DataView(struct.buffer, struct.byteOffset, struct.byteLength);
}
