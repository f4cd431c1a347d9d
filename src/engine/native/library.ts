/**
 * The native library: opens it, names its functions and its structs' offsets. Nothing here knows what a
 * request is. Structs that C passes by value are opaque words; what we set or check in them, we reach by offset.
 * The layout belongs to one build of llama.cpp, so the version is pinned and known defaults are checked on opening.
 */
import type { Accelerator } from "../../libraries/accelerator.ts";
import { loadNarrowCode } from "./cpu/cpu_code.ts";
import { loadPackagedCode } from "./cpu/packaged_code.ts";
import { findLibrary, LIBRARY_VERSION, LibraryError } from "../../libraries/library_files.ts";

/** What the libraries of that release say of themselves; a build of one's own must say the same. */
const LLAMA_VERSION = "0.4.0";
const GGML_VERSION = "0.23.0";

/** A struct by value: the caller only needs its size, its alignment, and that it travels in memory (over 16 bytes). */
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
  llama_memory_seq_cp: { parameters: ["pointer", "i32", "i32", "i32", "i32"], result: "void" },
} as const;

type Symbols<S extends Deno.ForeignLibraryInterface> = Deno.DynamicLibrary<S>["symbols"];

/** The libraries to open. */
export interface LibrarySource {
  /** Has `libllama`, `libggml`, `libggml-base` and the code for the CPU. */
  readonly folder: string;
  /** A build of one's own: all that is in the folder may compute. */
  readonly own: boolean;
  /** The accelerator; absent: none, unless it is an own build. */
  readonly accelerator?: AcceleratorSource;
}

/** An accelerator's library. */
export interface AcceleratorSource {
  readonly name: Exclude<Accelerator, "cpu">;
  /** Where it is. */
  readonly folder: string;
  /** Libraries of the system to be opened before. */
  readonly preload: readonly string[];
  /** The CPU computes if it cannot be used. */
  readonly optional: boolean;
}

/** What computes. */
export interface Backends {
  /** Beside the CPU: `cuda`, `metal`, `vulkan`; or `cpu` if nothing does. */
  readonly accelerator: string;
  /** Why the accelerator that was to compute does not. */
  readonly failure?: string;
}

/** The functions of the opened libraries. */
export interface Library {
  readonly llama: Symbols<typeof LLAMA_SYMBOLS>;
  readonly ggml: Symbols<typeof GGML_SYMBOLS>;
  readonly base: Symbols<typeof GGML_BASE_SYMBOLS>;
  /**
   * Load what computes: everything there is, and of the CPU variants the best for this machine. Called once, before a
   * model is loaded.
   *
   * @param options.narrow The vectors of the model's attention are shorter than AVX-512 code takes at once, which then
   * computes number by number; AVX2 code is up to twice as fast.
   */
  loadBackends(options: { readonly narrow: boolean }): Backends;
  /**
   * Fill an array from native memory. Deno's own way needs a permission at every call, and an engine that serves has
   * none.
   */
  copy(target: Float32Array<ArrayBuffer>, source: NonNullable<Deno.PointerValue>): void;
  /** What the native code complained about first since the last call, without the name of its function. */
  takeError(): string | undefined;
  /** Loading is over: from now on the native code writes to stderr itself, which it rarely does. */
  endLoading(): void;
}

/** A NUL-terminated string for C. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/**
 * Open the native libraries.
 *
 * @param source Where they are.
 * @throws {LibraryError} If there are none, or they are not of the release this code was written for.
 */
export function openLibrary({ folder, own, accelerator }: LibrarySource): Library {
  const base = open(folder, "ggml-base", GGML_BASE_SYMBOLS);
  const ggml = open(folder, "ggml", GGML_SYMBOLS);
  const llama = open(folder, "llama", LLAMA_SYMBOLS);
  checkVersion(folder, base, llama);
  let firstError: string | undefined;
  const log = new Deno.UnsafeCallback(
    { parameters: ["i32", "pointer", "pointer"], result: "void" } as const,
    (level, text) => {
      if (level < LOG_LEVEL_WARN || level > LOG_LEVEL_ERROR || text === null) return;
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
    endLoading(): void {
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
    const reason = error instanceof Error ? error.message : String(error);
    throw new LibraryError(`Cannot open the "${library}" library in "${folder}": ${reason}`, { cause: error });
  }
  throw new LibraryError(`There is no "${library}" library in "${folder}"`);
}

/** Another release has other structs, with undefined results. */
function checkVersion(folder: string, base: Library["base"], llama: Library["llama"]): void {
  const found = { llama: text(llama.llama_version()), ggml: text(base.ggml_version()) };
  // Builds that do not come from llama.cpp itself say `-dev` behind the number, also those of npm.
  if (found.llama.replace(/-dev$/, "") === LLAMA_VERSION && found.ggml === GGML_VERSION) return;
  throw new LibraryError(
    `The libraries in "${folder}" are llama.cpp ${found.llama} with ggml ${found.ggml}; they must be llama.cpp ` +
      `${LLAMA_VERSION} with ggml ${GGML_VERSION}, of node-llama-cpp ${LIBRARY_VERSION}`,
  );
}

function text(pointer: Deno.PointerValue): string {
  return pointer === null ? "of unknown version" : Deno.UnsafePointerView.getCString(pointer);
}

/** Load an accelerator's library; says why it cannot be used if it cannot. */
function loadAccelerator(
  { name, folder, preload }: AcceleratorSource,
  { load, takeError, found }: {
    readonly load: (file: string) => boolean;
    readonly takeError: Library["takeError"];
    readonly found: () => string | undefined;
  },
): string | undefined {
  try {
    // What has been opened is found by its name, wherever it is.
    for (const file of preload) Deno.dlopen(file, {});
    const file = findLibrary(folder, `ggml-${name}`);
    if (file === undefined) return `there is no library for it in "${folder}"`;
    if (load(file) && found() !== undefined) return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return takeError() ?? "it finds no device";
}

/** The kind of GPU that ggml knows, by what it calls the first one. */
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

/** The system's C library, by the name that the loader knows. */
export const LIBC: string = Deno.build.os === "darwin" ? "libSystem.dylib" : "libc.so.6";

/** The system's function that copies memory. */
function memoryCopy(): (target: Float32Array<ArrayBuffer>, source: Deno.PointerValue, bytes: bigint) => unknown {
  const copy = { parameters: ["buffer", "pointer", "usize"], result: "pointer" } as const;
  const move = { parameters: ["buffer", "pointer", "usize"], result: "void" } as const;
  return Deno.build.os === "windows"
    ? Deno.dlopen("kernel32.dll", { RtlMoveMemory: move }).symbols.RtlMoveMemory
    : Deno.dlopen(LIBC, { memcpy: copy }).symbols.memcpy;
}

/** Ask for the default parameters and compare what we know of them: the layout is then what we think it is. */
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

/** A view of a struct that came by value. */
export function dataView(struct: Uint8Array): DataView {
  return new DataView(struct.buffer, struct.byteOffset, struct.byteLength);
}
