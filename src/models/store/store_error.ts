/** Errors of the model store, of downloads and of imports: one class, told apart by its code. */

/** Which condition it is. */
export type ModelStoreErrorCode =
  /** The name or the hash cannot be one. */
  | "bad_name"
  /** A reference or URL that cannot be pulled. */
  | "bad_reference"
  /** Plain http to somewhere else than this machine, or a redirect to it. */
  | "insecure"
  /** One file of several, and the others cannot be found or do not belong to it. */
  | "split"
  /** The name refers to another model. */
  | "taken"
  /** There is no such model or file. */
  | "not_found"
  /** The manifest of this name cannot be used. */
  | "broken_manifest"
  /** A daemon serves it. */
  | "in_use"
  /** Another process pulls or imports this name. */
  | "busy"
  /** What came, or what was given, is no GGUF file. */
  | "not_gguf"
  /** A GGUF file that ends too early. */
  | "cut"
  /** A GGUF file that says what cannot be. */
  | "damaged"
  /** The SHA-256 is another than the one asked for. */
  | "mismatch"
  /** Longer or shorter than it should be. */
  | "size"
  /** The server refused; see `status`. */
  | "http"
  /** Redirects without an end, or without a place. */
  | "redirect"
  /** The connection failed, again and again. */
  | "connection"
  /** No byte came for too long, again and again. */
  | "stalled"
  /** The disk is full. */
  | "disk_full"
  /** The file system or Deno's permissions refused. */
  | "io";

/** The store could not do what it was asked; the message is one line for the operator. */
export class ModelStoreError extends Error {
  override readonly name = "ModelStoreError";
  /** Which condition it is. */
  readonly code: ModelStoreErrorCode;
  /** The HTTP status, where a server refused. */
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
 * An error of the file system as an error of the store.
 *
 * @param what What was tried: `Cannot pull "x"`.
 * @param error What came of it; one that is the store's own already stays as it is.
 * @returns The error to throw.
 */
export function storeError(what: string, error: unknown): ModelStoreError {
  if (error instanceof ModelStoreError) return error;
  if (isDiskFull(error)) return new ModelStoreError("disk_full", `${what}: the disk is full`, { cause: error });
  return new ModelStoreError("io", `${what}: ${reason(error)}`, { cause: error });
}

/** Whether the operating system had no room left. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.PermissionDenied) return `permission denied (${error.message})`;
  return error instanceof Error ? error.message : String(error);
}
