/** Applies the operator's model settings to native structs. */
import type { NativeSettings } from "../ipc/messages.ts";
import { ModelError } from "./first_look.ts";
import { LargePages } from "./libc/large_pages.ts";
import { CONTEXT_PARAM, cString, dataView, type Library, MODEL_PARAM } from "./library.ts";

/** `ggml_type`. */
const TYPES = { f16: 1, q4_0: 2, q8_0: 8 } as const;
/** Bytes per element; quantised blocks of 32 have a two-byte scale. */
const TYPE_BYTES = { f16: 2, q4_0: 18 / 32, q8_0: 34 / 32 } as const;
/** `llama_flash_attn_type`. */
const FLASH = { auto: -1, off: 0, on: 1 } as const;
/** `llama_rope_scaling_type`. */
const ROPE = { none: 0, linear: 1, yarn: 2, longrope: 3 } as const;
/** `llama_split_mode`. */
const ONE_GPU = 0;
/** `llama_load_mode`, by mmap and mlock. */
const LOAD_MODES = { plain: 0, mapped: 1, locked: 2, both: 3 } as const;
/** Entries of `tensor_split` that the library reads: `llama_max_devices()`. */
const MOST_DEVICES = 16;
const POINTER_BYTES = 8;

export interface LoadedAdapter {
  readonly handle: NonNullable<Deno.PointerValue>;
  readonly scale: number;
}

/**
 * Apply settings for loading a model.
 *
 * @returns Memory that the struct points to; keep it alive until the model is loaded.
 */
export function applyToModel(params: Uint8Array<ArrayBuffer>, settings: NativeSettings): Float32Array<ArrayBuffer> {
  const view = dataView(params);
  const { mmap, mlock, mainGpu, tensorSplit } = settings;
  if (mmap !== undefined || mlock !== undefined) {
    const mode = mlock === true ? (mmap === false ? "locked" : "both") : mmap === false ? "plain" : "mapped";
    view.setInt32(MODEL_PARAM.loadMode, LOAD_MODES[mode], true);
  }
  if (mainGpu !== undefined) {
    view.setInt32(MODEL_PARAM.splitMode, ONE_GPU, true);
    view.setInt32(MODEL_PARAM.mainGpu, mainGpu, true);
  }
  const split = new Float32Array(MOST_DEVICES);
  if (tensorSplit !== undefined) {
    split.set(tensorSplit.slice(0, MOST_DEVICES));
    view.setBigUint64(MODEL_PARAM.tensorSplit, Deno.UnsafePointer.value(Deno.UnsafePointer.of(split)), true);
  }
  return split;
}

export function applyToContext(params: Uint8Array<ArrayBuffer>, settings: NativeSettings): void {
  const view = dataView(params);
  const { cacheTypeK, cacheTypeV, flashAttention, ropeFreqBase, ropeFreqScale, ropeScaling } = settings;
  if (cacheTypeK !== undefined) view.setInt32(CONTEXT_PARAM.typeK, TYPES[cacheTypeK], true);
  if (cacheTypeV !== undefined) view.setInt32(CONTEXT_PARAM.typeV, TYPES[cacheTypeV], true);
  // Only flash attention reads a quantised V cache.
  const needed = cacheTypeV !== undefined && cacheTypeV !== "f16" ? "on" : "auto";
  view.setInt32(CONTEXT_PARAM.flashAttention, FLASH[flashAttention ?? needed], true);
  if (ropeScaling !== undefined) view.setInt32(CONTEXT_PARAM.ropeScaling, ROPE[ropeScaling], true);
  if (ropeFreqBase !== undefined) view.setFloat32(CONTEXT_PARAM.ropeFreqBase, ropeFreqBase, true);
  if (ropeFreqScale !== undefined) view.setFloat32(CONTEXT_PARAM.ropeFreqScale, ropeFreqScale, true);
}

/**
 * Create a context; on a CPU its caches get large pages.
 *
 * @returns `null` if there is not enough memory, or if settings do not go with the model.
 */
export function openContext(
  library: Library,
  { handle, accelerator }: { readonly handle: NonNullable<Deno.PointerValue>; readonly accelerator: string },
  params: Uint8Array<ArrayBuffer>,
): Deno.PointerValue {
  const largePages = accelerator === "cpu" ? LargePages.of() : undefined;
  // It logs between allocating a cache and clearing it.
  library.watchLog(() => largePages?.use());
  try {
    return library.llama.llama_init_from_model(handle, params);
  } finally {
    library.watchLog(undefined);
    largePages?.use();
  }
}

/** Bytes per element of the K and the V cache. */
export function cacheBytes({ cacheTypeK = "f16", cacheTypeV = "f16" }: NativeSettings): [k: number, v: number] {
  return [TYPE_BYTES[cacheTypeK], TYPE_BYTES[cacheTypeV]];
}

/**
 * Load LoRA adapters; must happen before a context is created.
 *
 * @returns The adapters, or the path of one that cannot be loaded.
 */
export function loadAdapters(
  { llama }: Library,
  model: NonNullable<Deno.PointerValue>,
  { lora = [] }: NativeSettings,
): readonly LoadedAdapter[] | string {
  const loaded: LoadedAdapter[] = [];
  for (const { path, scale } of lora) {
    const handle = llama.llama_adapter_lora_init(model, cString(path));
    if (handle === null) return path;
    loaded.push({ handle, scale });
  }
  return loaded;
}

/** @throws {ModelError} If the context cannot use them. */
export function useAdapters(
  { llama }: Library,
  context: NonNullable<Deno.PointerValue>,
  adapters: readonly LoadedAdapter[],
): void {
  if (adapters.length === 0) return;
  const pointers = new Uint8Array(adapters.length * POINTER_BYTES);
  const view = dataView(pointers);
  for (const [index, { handle }] of adapters.entries()) {
    view.setBigUint64(index * POINTER_BYTES, Deno.UnsafePointer.value(handle), true);
  }
  const scales = new Uint8Array(new Float32Array(adapters.map(({ scale }) => scale)).buffer);
  if (llama.llama_set_adapters_lora(context, pointers, BigInt(adapters.length), scales) !== 0) {
    throw new ModelError("The LoRA adapters cannot be applied to this model");
  }
}
