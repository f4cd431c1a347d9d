/**
 * Dispatch from the client's side: one request, one response; and the choice between the daemon and a local fallback.
 */
import { ConnectError, ConnectionClosedError, DispatchError, ProtocolError, withCallerStack } from "./errors/errors.ts";
import { FrameTooLargeError } from "./errors/daemon_errors.ts";
import { endpointName, type UnixEndpoint, unixSurfaceEndpoint } from "./endpoints.ts";
import { timeoutOr, type WaitOptions } from "./options.ts";
import { within } from "./patience.ts";
import {
  DEFAULT_NAMESPACE,
  type DispatchRequest,
  type DispatchResponse,
  type DispatchResult,
  MAX_DISPATCH_BYTES,
  type Presentation,
} from "./protocol/mod.ts";
import { Transport } from "./wire/transport.ts";

/** Size of a frame's length field, in bytes. */
const HEADER_BYTES = 4;

/**
 * Options of a dispatch request. By default there is no timeout.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import { dispatch, type DispatchOptions } from "@inferd/client";
 *
 * const asText: DispatchOptions = { presentation: "text", timeoutMs: 5_000 };
 *
 * export async function state(): Promise<boolean> {
 *   return (await dispatch("status()", asText)).ok;
 * }
 * ```
 */
export interface DispatchOptions extends WaitOptions {
  /** The expected namespace of the daemon. Default `default`. */
  readonly namespace?: string | undefined;
  /** Has to be the daemon's. Default `""`, which no daemon has: its answer then tells which one it has. */
  readonly configId?: string | undefined;
  /** The format of results. Default `json`. */
  readonly presentation?: Presentation | undefined;
  /** The format for each call, by position; `null`: as `presentation`. */
  readonly presentationPerOp?: readonly (Presentation | null)[] | undefined;
  /** The path of the dispatch socket. Default: `INFERD_RPC_ADDR`, else `rpc.sock` in the default runtime directory. */
  readonly path?: string | undefined;
}

/**
 * A daemon's answer to a dispatch request.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import type { DispatchAnswer } from "@inferd/client";
 *
 * export function why({ ok, error, configMismatch }: DispatchAnswer): string {
 *   return ok ? "It ran" : configMismatch ? "The daemon has another configuration" : error ?? "Nothing was run";
 * }
 * ```
 */
export interface DispatchAnswer {
  /** Whether the calls were run. */
  readonly ok: boolean;
  /** One entry for each call; `null` if nothing was run. */
  readonly results: readonly DispatchResult[] | null;
  /** The syntax error in the calls, if there is one; else `null`. */
  readonly error: string | null;
  /** The daemon has a different namespace; nothing was run. */
  readonly namespaceMismatch: boolean;
  /** The daemon has a different configuration; nothing was run. */
  readonly configMismatch: boolean;
  /** The fingerprint of the daemon's configuration; `null` if it does not report one. */
  readonly servedConfigId: string | null;
}

/**
 * Have a daemon run calls. One attempt is made to connect.
 *
 * @param ops One or more calls with `;` between them, e.g. `status(); generate(prompt="Hi", max_tokens=20)`.
 * @param options Whom it is for, how results are written, and how long to wait.
 * @returns What the daemon answered. That nothing was run, or that a call failed, is an answer.
 * @throws {ConnectError} If there is no daemon.
 * @throws {ConnectionClosedError} If the daemon closed the connection without a whole answer.
 * @throws {ProtocolError} If what came is not the protocol.
 * @throws {FrameTooLargeError} If the request has more than 8 MiB; nothing is sent then.
 * @throws {TimeoutError} If there is no answer for `timeoutMs`.
 * @throws {TypeError} If the path cannot be one of a socket.
 * @throws {RangeError} If the path is too long, or `timeoutMs` is negative.
 * @throws The signal's reason, if it was aborted.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import { dispatch } from "@inferd/client";
 *
 * export async function servedConfigId(): Promise<string | null> {
 *   return (await dispatch("config_id()")).servedConfigId;
 * }
 * ```
 */
export async function dispatch(ops: string, options: DispatchOptions = {}): Promise<DispatchAnswer> {
  const call = new Error();
  const endpoint = unixSurfaceEndpoint("dispatch", options.path);
  const timeoutMs = timeoutOr(options.timeoutMs, Infinity);
  const frame = encode({
    ops,
    namespace: options.namespace ?? DEFAULT_NAMESPACE,
    presentation: options.presentation ?? null,
    presentation_per_op: options.presentationPerOp === undefined ? null : [...options.presentationPerOp],
    config_id: options.configId ?? "",
  });
  const { signal } = options;
  const what = `get an answer from the daemon at "${endpointName(endpoint)}"`;
  return await within((cut) => exchange(endpoint, frame, cut), { what, timeoutMs, signal, call });
}

/**
 * Why calls were run locally.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import type { LocalReason } from "@inferd/client";
 *
 * export function isOtherDaemon(reason: LocalReason): boolean {
 *   return reason !== "no_daemon" && reason !== "no_answer";
 * }
 * ```
 */
export type LocalReason =
  /** Connecting failed. */
  | "no_daemon"
  /** The daemon closed the connection without a valid answer. */
  | "no_answer"
  /** The daemon has a different namespace. */
  | "namespace_mismatch"
  /** The daemon refused because its configuration differs. */
  | "config_mismatch"
  /** The daemon does not report its configuration. */
  | "config_missing"
  /** The daemon ran the calls with a different configuration. */
  | "config_other";

/**
 * The outcome of {@linkcode forwardOrLocal}: the daemon's results, or the local function's.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import type { Forwarded } from "@inferd/client";
 *
 * export function show(forwarded: Forwarded<string>): string {
 *   return forwarded.source === "local" ? `${forwarded.value} (${forwarded.reason})` : JSON.stringify(forwarded.results);
 * }
 * ```
 */
export type Forwarded<Local> =
  | { readonly source: "daemon"; readonly results: readonly DispatchResult[] }
  | { readonly source: "local"; readonly value: Local; readonly reason: LocalReason };

/**
 * Options of {@linkcode forwardOrLocal}.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import type { ForwardOptions } from "@inferd/client";
 *
 * export const options: ForwardOptions<string> = { configId: "5e8af1a3", local: (ops) => `Nobody ran ${ops}` };
 * ```
 */
export interface ForwardOptions<Local> extends DispatchOptions {
  /** The required configuration. */
  readonly configId: string;
  /** Runs the calls without a daemon. */
  readonly local: (ops: string) => Local | Promise<Local>;
}

/**
 * Have the daemon run calls, if there is one with this namespace and this configuration; else do it locally. What a
 * daemon answers counts only if it says that it has this very configuration.
 *
 * A daemon that ends after it was asked may have worked in vain: its calls are run again locally. They only ask and
 * generate, so nothing is done twice but the work.
 *
 * @param ops One or more calls with `;` between them.
 * @param options Whom it is for, and `local`.
 * @returns Where the calls were run, what they came to, and why locally.
 * @throws {DispatchError} If such a daemon says that a call cannot be read; `local` is not run.
 * @throws {FrameTooLargeError} If the request has more than 8 MiB.
 * @throws {TimeoutError} If a daemon was reached and does not answer for `timeoutMs`.
 * @throws {TypeError} If the path cannot be one of a socket.
 * @throws {RangeError} If the path is too long, or `timeoutMs` is negative.
 * @throws What `local` threw, or the signal's reason.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import { forwardOrLocal } from "@inferd/client";
 *
 * export async function greet(configId: string, local: () => string): Promise<string> {
 *   const done = await forwardOrLocal('generate(prompt="Say hello.")', { configId, local, presentation: "text" });
 *   if (done.source === "local") return done.value;
 *   const [result] = done.results;
 *   return result?.ok ? String(result.value) : `It failed: ${result?.error}`;
 * }
 * ```
 */
export async function forwardOrLocal<Local>(ops: string, options: ForwardOptions<Local>): Promise<Forwarded<Local>> {
  const { local, ...rest } = options;
  const call = new Error();
  const forwarded = await forward(ops, rest, call);
  if (typeof forwarded !== "string") return { source: "daemon", results: forwarded };
  return { source: "local", value: await local(ops), reason: forwarded };
}

async function forward(
  ops: string,
  options: DispatchOptions & { readonly configId: string },
  call: Error,
): Promise<readonly DispatchResult[] | LocalReason> {
  let answer: DispatchAnswer;
  try {
    answer = await dispatch(ops, options);
  } catch (error) {
    if (error instanceof ConnectError) return "no_daemon";
    if (error instanceof ConnectionClosedError || error instanceof ProtocolError) return "no_answer";
    throw withCallerStack(error, call);
  }
  if (answer.namespaceMismatch) return "namespace_mismatch";
  if (answer.configMismatch) return "config_mismatch";
  if (answer.servedConfigId === null) return "config_missing";
  if (answer.servedConfigId !== options.configId) return "config_other";
  if (answer.results !== null) return answer.results;
  throw withCallerStack(new DispatchError(answer.error ?? "The daemon does not say why it ran nothing"), call);
}

async function exchange(endpoint: UnixEndpoint, frame: Uint8Array, signal: AbortSignal): Promise<DispatchAnswer> {
  const transport = await Transport.open(endpoint, signal);
  const giveUp = (): void => transport.close();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    // Errors of the write are ignored: a daemon that closes early may have sent its reason.
    transport.write(frame).catch(() => {});
    return decode(await read(transport, endpointName(endpoint)));
  } finally {
    signal.removeEventListener("abort", giveUp);
    transport.close();
  }
}

function encode(request: DispatchRequest): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(request));
  if (body.length > MAX_DISPATCH_BYTES) {
    throw new FrameTooLargeError(`A request may have at most ${MAX_DISPATCH_BYTES} bytes, this one has ${body.length}`);
  }
  const frame = new Uint8Array(HEADER_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** Read the body of the one response frame. */
async function read(transport: Transport, name: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  let wanted: number | undefined;
  while (wanted === undefined || bytes < wanted) {
    let chunk: Uint8Array | null = null;
    let cause: unknown;
    try {
      chunk = await transport.read();
    } catch (error) {
      cause = error;
    }
    if (chunk === null) {
      throw new ConnectionClosedError(`The daemon at "${name}" closed the connection before it had answered`, {
        cause,
      });
    }
    parts.push(chunk);
    bytes += chunk.length;
    if (wanted === undefined && bytes >= HEADER_BYTES) wanted = HEADER_BYTES + lengthOf(concat(parts, HEADER_BYTES));
  }
  return concat(parts, wanted).subarray(HEADER_BYTES);
}

function lengthOf(header: Uint8Array): number {
  const length = new DataView(header.buffer).getUint32(0);
  if (length > 0 && length <= MAX_DISPATCH_BYTES) return length;
  throw new ProtocolError(`The daemon sent a frame of ${length} bytes; it must have 1 to ${MAX_DISPATCH_BYTES}`);
}

/** The first `length` bytes of chunks that have at least as many. */
function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk.subarray(0, length - at), at);
    at = Math.min(at + chunk.length, length);
  }
  return whole;
}

function decode(body: Uint8Array): DispatchAnswer {
  const response = parse(() => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)));
  if (!isResponse(response)) throw new ProtocolError("The daemon's answer is no dispatch response");
  const { ok, result, error } = response;
  const results = result === null ? null : parse(() => JSON.parse(result));
  if (results !== null && !isResults(results)) throw new ProtocolError("The daemon's answer holds no results");
  if (ok !== (results !== null)) throw new ProtocolError("The daemon's answer says both that calls ran and did not");
  return {
    ok,
    results,
    error,
    namespaceMismatch: response.namespace_mismatch,
    configMismatch: response.config_mismatch,
    servedConfigId: response.served_config_id ?? null,
  };
}

function parse(read: () => unknown): unknown {
  try {
    return read();
  } catch (cause) {
    throw new ProtocolError("The daemon's answer is not JSON", { cause });
  }
}

/** `served_config_id` may be missing: that is a reason of its own not to trust the answer. */
function isResponse(value: unknown): value is DispatchResponse {
  if (typeof value !== "object" || value === null) return false;
  const { ok, result, error, namespace_mismatch, config_mismatch, served_config_id } = value as Record<string, unknown>;
  return typeof ok === "boolean" && isText(result) && isText(error) && typeof namespace_mismatch === "boolean" &&
    typeof config_mismatch === "boolean" && (served_config_id === undefined || isText(served_config_id));
}

function isText(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function isResults(value: unknown): value is DispatchResult[] {
  return Array.isArray(value) && value.every((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) return false;
    const { ok, error } = entry as Record<string, unknown>;
    return ok === true ? Object.hasOwn(entry, "value") : ok === false && typeof error === "string";
  });
}
