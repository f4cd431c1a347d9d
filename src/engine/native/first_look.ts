/** Reads GGUF metadata through ggml before a model is loaded. */
import { cString, dataView, type Library } from "./library.ts";
import { errorText } from "../../log/error_text.ts";

/** Tensor names of a ranking head. */
const RANK_HEADS = ["cls.output.weight", "cls.weight"];
const GGUF_MAGIC = 0x46554747;

/** The model cannot be loaded; the message is for the operator. */
export class ModelError extends Error {
  override readonly name = "ModelError";
}

/** Facts that loading needs. */
export interface FirstLook {
  readonly headSize: number;
  readonly pools: boolean;
  readonly ranks: boolean;
}

/**
 * Read what loading needs. Unreadable files are left for the loader to report. In a split model the first file has the
 * metadata, tensors are in any.
 */
export function peek({ base }: Library, [path = "", ...others]: readonly string[]): FirstLook {
  const STRING = 8;
  const UINT32 = 4;
  const params = new Uint8Array(16);
  params[0] = 1; // no_alloc
  const file = base.gguf_init_from_file(cString(path), params);
  if (file === null) return { headSize: Infinity, pools: false, ranks: false };
  const find = (key: string, type: number): bigint | undefined => {
    const index = base.gguf_find_key(file, cString(key));
    return index >= 0n && base.gguf_get_kv_type(file, index) === type ? index : undefined;
  };
  const nameAt = find("general.architecture", STRING);
  const name = nameAt === undefined ? null : base.gguf_get_val_str(file, nameAt);
  const architecture = name === null ? "" : Deno.UnsafePointerView.getCString(name);
  const u32 = (key: string): number | undefined => {
    const index = find(key, UINT32);
    return index === undefined ? undefined : base.gguf_get_val_u32(file, index);
  };
  const number = (key: string): number => u32(`${architecture}.${key}`) ?? 0;
  const headSize = headSizeOf(number);
  const pools = number("pooling_type") > 0;
  const hasRankHead = (file: NonNullable<Deno.PointerValue>): boolean =>
    RANK_HEADS.some((name) => base.gguf_find_tensor(file, cString(name)) >= 0n);
  let ranks = hasRankHead(file);
  base.gguf_free(file);
  for (const other of ranks ? [] : others) {
    const part = base.gguf_init_from_file(cString(other), params);
    if (part === null) continue;
    ranks ||= hasRankHead(part);
    base.gguf_free(part);
  }
  return { headSize, pools, ranks };
}

/** Reports causes that the native loader does not: no such file, or not a GGUF file. */
export function checkFile(path: string): void {
  let head: Uint8Array;
  try {
    using file = Deno.openSync(path, { read: true });
    const info = file.statSync();
    if (!info.isFile) throw new ModelError(`Cannot load "${path}": it is not a file`);
    head = new Uint8Array(8);
    const read = file.readSync(head) ?? 0;
    if (read < head.length) throw new ModelError(`Cannot load "${path}": it is too short to be a GGUF file`);
  } catch (error) {
    if (error instanceof ModelError) throw error;
    if (error instanceof Deno.errors.NotFound) throw new ModelError(`Cannot load "${path}": there is no such file`);
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
      throw new ModelError(`Cannot load "${path}": permission denied`);
    }
    throw new ModelError(`Cannot load "${path}": ${errorText(error)}`);
  }
  if (dataView(head).getUint32(0, true) !== GGUF_MAGIC) {
    throw new ModelError(`Cannot load "${path}": it is not a GGUF file`);
  }
}

/** Dimensions of an attention head; infinite if unknown. */
export function headSizeOf(number: (key: string) => number): number {
  return number("attention.key_length") || number("embedding_length") / number("attention.head_count") || Infinity;
}
