/**
 * The resolved request that a surface passes to the pipeline, and the field readers shared by all surfaces. Field
 * names, defaults and frames of a surface belong to that surface.
 */
import { isText, isWithin, type LongText, type NumberLimits, numberText } from "@inferd/client/protocol";
import type { Backend } from "../inference/backend.ts";
import { InvalidRequestError } from "../inference/errors.ts";
import type { BackendEvent, Usage } from "../inference/events.ts";
import { isObject } from "../inference/objects.ts";

/** The successful end of a request: the last frame, and facts for the log. */
export interface Terminal<R = LastFrame> {
  readonly frame: R;
  /** As in the frame; `end` if such frames have none. */
  readonly stopReason: string;
  readonly usage: Usage;
}

/** As text: a line with its newline, preceded by any frames that were held back. */
export type LastFrame = string | object;

/** An answer as a stream of events. */
export interface StreamedAnswer<R = LastFrame> {
  readonly events: AsyncIterable<BackendEvent>;
  /**
   * Render one event.
   *
   * @returns A line to send, with its newline, or the end; undefined where the caller did not ask to see the event.
   */
  readonly render: (event: BackendEvent) => string | Terminal<R> | undefined;
}

/** An answer that is complete at once. */
export interface WholeAnswer<R = LastFrame, A = unknown> {
  readonly answer: Promise<A>;
  /**
   * Render the answer, or the next part of one that takes long: other requests are served between two calls.
   *
   * @returns Undefined while there is more to render.
   */
  render(answer: A): Terminal<R> | undefined;
}

/** A running backend request, and the renderer of its result. */
export type Answer<R = LastFrame> = StreamedAnswer<R> | WholeAnswer<R>;

/** A request that obeys every rule of its surface. */
export interface ResolvedRequest<R = LastFrame> {
  /** The caller's id of it, echoed in every frame. */
  readonly id: string;
  /** The required backend or model; absent: the first in the operator's order. */
  readonly model?: string;
  /** Whether it is so cheap that it needs no slot. */
  readonly isShort?: true;
  /**
   * Start it on a backend.
   *
   * @param queuedMs How long it waited for its place; absent: not at all.
   * @throws {InvalidRequestError | AttachmentUnsupportedError} If the backend cannot do it.
   */
  answer(backend: Backend, signal: AbortSignal, queuedMs?: number): Answer<R>;
}

/** Maximum length of a quoted value in a message, in UTF-16 units. */
const SHOWN_LENGTH = 40;
/** Longer texts are not even looked into: they may have to be copied for that. */
const MAX_LOOKED_INTO_LENGTH = 1024 * 1024;

/** A value as messages show it: quoted and truncated, at a cost that does not grow with the value. */
export function shown(value: unknown, length = SHOWN_LENGTH): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
  if (isText(value) && value.length > MAX_LOOKED_INTO_LENGTH) return `a text of ${value.length} characters`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > length ? `${value.slice(0, length)}…` : value);
}

/**
 * Check the common rules of all surfaces: a request is an object with a valid id.
 *
 * @throws {InvalidRequestError} If not.
 */
export function readRequest(
  value: unknown,
): { readonly id: string; readonly fields: Readonly<Record<string, unknown>> } {
  if (!isObject(value)) throw new InvalidRequestError(`A request must be a JSON object, got ${shown(value)}`);
  const id = value.id === undefined ? "" : readString("id", value.id);
  if (!isEchoable(id)) refuse("id", `at most ${MAX_ID_BYTES} bytes of UTF-8`, id);
  return { id, fields: value };
}

/** It is echoed in every frame, so a long one would be sent many times. */
const MAX_ID_BYTES = 1024;

function isEchoable(id: string): boolean {
  // A UTF-16 unit takes at least one byte.
  return id.length <= MAX_ID_BYTES && new TextEncoder().encode(id).length <= MAX_ID_BYTES;
}

/** The backend or model named in a request; `{}` if none. */
export function readModel(fields: Readonly<Record<string, unknown>>): Pick<ResolvedRequest, "model"> {
  return fields.model === undefined ? {} : { model: readNonEmptyString("model", fields.model) };
}

/** The id of a possibly invalid request; `""` if it has no valid one. */
export function idOf(value: unknown): string {
  return isObject(value) && typeof value.id === "string" && isEchoable(value.id) ? value.id : "";
}

/**
 * Reject a field.
 *
 * @param field Its path, e.g. `messages[3].role`.
 * @param allowed The allowed values.
 */
export function refuse(field: string, allowed: string, value: unknown): never {
  throw new InvalidRequestError(`"${field}" must be ${allowed}, got ${shown(value)}`);
}

/** A number within limits. JSON has no NaN, but a literal like 1e999 parses to Infinity. */
export function readNumber(field: string, value: unknown, limits: NumberLimits): number {
  if (!isWithin(value, limits)) refuse(field, numberText(limits), value);
  return value;
}

export function readString(field: string, value: unknown): string {
  return readText(field, value).toString();
}

/** A text that may be long: it stays in the parts in which it came. */
export function readText(field: string, value: unknown): LongText {
  if (!isText(value)) refuse(field, "a string", value);
  return value;
}

export function readNonEmptyString(field: string, value: unknown): string {
  if (!isText(value) || value === "") refuse(field, "a non-empty string", value);
  return value.toString();
}

export function readOneOf<T extends string>(field: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((choice) => choice === value);
  if (found === undefined) refuse(field, listed(allowed), value);
  return found;
}

export function readRecord(field: string, value: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(value)) refuse(field, "an object", value);
  return value;
}

/** An array of at most `max` elements; `of` is the plural name of its elements. */
export function readArray(
  field: string,
  value: unknown,
  { of, max }: { readonly of: string; readonly max: number },
): readonly unknown[] {
  if (!Array.isArray(value)) refuse(field, `an array of ${of}`, value);
  checkCount(field, value, { of, max });
  return value;
}

export function readNonEmptyArray(field: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) refuse(field, "a non-empty array", value);
  return value;
}

/** An array of 1 to `max` elements. */
export function readEntries(
  field: string,
  value: unknown,
  limits: { readonly of: string; readonly max: number },
): readonly unknown[] {
  const entries = readNonEmptyArray(field, value);
  checkCount(field, entries, limits);
  return entries;
}

/** An array of 1 to `max` strings, none of them empty. */
export function readTexts(
  field: string,
  value: unknown,
  limits: { readonly of: string; readonly max: number },
): readonly string[] {
  return readEntries(field, value, limits).map((text, index) => readNonEmptyString(`${field}[${index}]`, text));
}

export function readBoolean(field: string, value: unknown): boolean {
  if (typeof value !== "boolean") refuse(field, "true or false", value);
  return value;
}

/** A boolean field that is false if absent. */
export function readFlag(field: string, fields: Readonly<Record<string, unknown>>): boolean {
  return fields[field] !== undefined && readBoolean(field, fields[field]);
}

function checkCount(
  field: string,
  value: readonly unknown[],
  { of, max }: { readonly of: string; readonly max: number },
): void {
  if (value.length > max) {
    throw new InvalidRequestError(`"${field}" must have at most ${max} ${of}, got ${value.length}`);
  }
}

/** Formats the allowed values: `"a", "b" or "c"`. */
export function listed(choices: readonly string[]): string {
  const quoted = choices.map((choice) => JSON.stringify(choice));
  const last = quoted.pop() ?? "";
  return quoted.length === 0 ? last : `${quoted.join(", ")} or ${last}`;
}
