/** Error class of the model store, downloads and imports; conditions are distinguished by code. */

import { errorText } from "../../log/error_text.ts";

export type ModelStoreErrorCode =
  /** Invalid name or hash. */
  | "bad_name"
  | "bad_reference"
  /** Plain http to another machine, or a redirect to it. */
  | "insecure"
  /** A file of a split model whose other files are missing or do not match. */
  | "split"
  /** The name refers to another model. */
  | "taken"
  | "not_found"
  /** No file fits into the memory of this machine. */
  | "too_large"
  /** The manifest of this name is invalid. */
  | "broken_manifest"
  /** A daemon serves it. */
  | "in_use"
  /** Another process pulls or imports this name. */
  | "busy"
  | "not_gguf"
  /** The GGUF file is truncated. */
  | "cut"
  | "damaged"
  /** The SHA-256 does not match. */
  | "mismatch"
  | "size"
  /** The server returned an error; see `status`. */
  | "http"
  /** Too many redirects, or one without a location. */
  | "redirect"
  /** The connection failed repeatedly. */
  | "connection"
  /** The connection stalled repeatedly. */
  | "stalled"
  | "disk_full"
  /** The file system or Deno's permissions refused. */
  | "io";

/** A store operation failed; the message is one line for the operator. */
export class ModelStoreError extends Error {
  override readonly name = "ModelStoreError";
  readonly code: ModelStoreErrorCode;
  /** HTTP status returned by the server, if any. */
  readonly status: number | undefined;

  constructor(
    code: ModelStoreErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly status?: number } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.status = options.status;
  }
}

/**
 * Convert a file system error to a store error.
 *
 * @param what The failed operation: `Cannot pull "x"`.
 * @param error The error; store errors are returned unchanged.
 */
export function storeError(what: string, error: unknown): ModelStoreError {
  if (error instanceof ModelStoreError) return error;
  if (isDiskFull(error)) return new ModelStoreError("disk_full", `${what}: the disk is full`, { cause: error });
  return new ModelStoreError("io", `${what}: ${reason(error)}`, { cause: error });
}

/** Whether the disk or quota is exhausted. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.PermissionDenied) return `permission denied (${error.message})`;
  return errorText(error);
}
