/**
 * The attachments of a v2 request: their fields, and which blocks refer to them. Only the beginning of an attachment
 * without a media type is decoded here; the rest is up to the model.
 */
import {
  isText,
  type LongText,
  MAX_ATTACHMENT_BYTES,
  MAX_ATTACHMENTS,
  partsOf,
  type V2MediaKind,
} from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import { isObject } from "../inference/objects.ts";
import type { Attachment } from "../inference/request.ts";
import {
  readArray,
  readNonEmptyString,
  readOneOf,
  readRecord,
  readString,
  readText,
  refuse,
  shown,
} from "../pipeline/resolve.ts";
import { formatOf, HEAD_BYTES, KNOWN_FORMATS } from "./media_type.ts";

export const MEDIA_KINDS: readonly V2MediaKind[] = ["image", "audio", "video"];

/** The subtype of a media type, as in RFC 6838. */
const SUBTYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i;
/** As long as a kind, a slash and a subtype may be. */
const MAX_MIME_LENGTH = 136;
/** Characters of base64 that are checked at a time; a multiple of four. */
const CHECKED_CHARACTERS = 64 * 1024;

/** Pieces of at most that length between two rests. */
const CHECKED_AT_ONCE = 16;

/** Whether what {@linkcode prepareAttachments} has looked at is base64. */
const prepared = new WeakMap<object, boolean>();

/** Check the base64 of a request's attachments, as `Surface.prepare`. */
export async function prepareAttachments(value: unknown, rest: (workedMs: number) => Promise<void>): Promise<void> {
  const { attachments } = isObject(value) ? value : {};
  if (!Array.isArray(attachments) || attachments.length > MAX_ATTACHMENTS) return;
  for (const entry of attachments as readonly unknown[]) {
    if (!isObject(entry) || !isText(entry.bytes)) continue;
    let start = performance.now();
    let count = 0;
    let isBase64 = true;
    for (const isGood of base64Pieces(entry.bytes)) {
      isBase64 = isGood;
      if (!isGood) break;
      if (++count % CHECKED_AT_ONCE !== 0) continue;
      await rest(performance.now() - start);
      start = performance.now();
    }
    prepared.set(entry, isBase64);
  }
}

/** Finds attachments by id, and knows which of them were referred to. */
export class Attachments {
  readonly #byId = new Map<string, { readonly attachment: Attachment; readonly index: number }>();
  readonly #unused: Set<string>;

  /** @throws {InvalidRequestError} If one is invalid. */
  constructor(value: unknown) {
    let bytes = 0;
    for (const [index, entry] of readArray("attachments", value, { of: "entries", max: MAX_ATTACHMENTS }).entries()) {
      const field = `attachments[${index}]`;
      const { id: givenId, kind: givenKind, mime, bytes: base64 } = readRecord(field, entry);
      const id = readNonEmptyString(`${field}.id`, givenId);
      if (this.#byId.has(id)) throw new InvalidRequestError(`"${field}.id" must be unique, got ${shown(id)} again`);
      const kind = readOneOf(`${field}.kind`, givenKind, MEDIA_KINDS);
      const given = mime === undefined ? undefined : readMime(`${field}.mime`, mime, kind);
      const content = readBase64(`${field}.bytes`, base64, isObject(entry) ? prepared.get(entry) : undefined);
      const attachment = { kind, mime: given ?? mimeOf(field, content, kind), base64: content };
      bytes += content.length / 4 * 3 - paddingOf(content);
      this.#byId.set(id, { attachment, index });
    }
    if (bytes > MAX_ATTACHMENT_BYTES) {
      throw new InvalidRequestError(
        `"attachments" must have at most ${MAX_ATTACHMENT_BYTES} bytes together, got ${bytes}`,
      );
    }
    this.#unused = new Set(this.#byId.keys());
  }

  /** The attachments that blocks refer to. */
  get kinds(): readonly V2MediaKind[] {
    const present = new Set([...this.#byId.values()].map(({ attachment }) => attachment.kind));
    return MEDIA_KINDS.filter((kind) => present.has(kind));
  }

  /**
   * The attachment a block refers to.
   *
   * @throws {InvalidRequestError} If there is none of that kind.
   */
  refer(field: string, id: unknown, kind: V2MediaKind): Attachment {
    const name = readString(field, id);
    const found = this.#byId.get(name)?.attachment;
    if (found === undefined) refuse(field, "the id of an attachment", name);
    if (found.kind !== kind) {
      throw new InvalidRequestError(
        `"${field}" must be the id of an attachment of kind "${kind}", but ${shown(name)} is of kind "${found.kind}"`,
      );
    }
    this.#unused.delete(name);
    return found;
  }

  /** @throws {InvalidRequestError} If there is one that no block refers to. */
  checkAllUsed(): void {
    const [unused] = this.#unused;
    if (unused === undefined) return;
    const { index } = this.#byId.get(unused) ?? { index: 0 };
    throw new InvalidRequestError(
      `"attachments[${index}]" must be referred to by a block, but ${shown(unused)} is not`,
    );
  }
}

function readMime(field: string, value: unknown, kind: V2MediaKind): string {
  const mime = readString(field, value);
  const slash = mime.length > MAX_MIME_LENGTH ? -1 : mime.indexOf("/");
  if (slash === -1 || mime.slice(0, slash).toLowerCase() !== kind || !SUBTYPE.test(mime.slice(slash + 1))) {
    refuse(field, `"${kind}/" and a subtype`, mime);
  }
  return mime;
}

/** The media type according to the bytes. */
function mimeOf(field: string, base64: LongText, kind: V2MediaKind): string {
  const format = formatOf(Uint8Array.fromBase64(beginningOf(base64, HEAD_BYTES / 3 * 4)));
  if (format === undefined) {
    throw new InvalidRequestError(
      `"${field}.mime" must be given, since "${field}.bytes" are none of ${KNOWN_FORMATS}`,
    );
  }
  const { kinds, subtype } = format;
  if (kinds.includes(kind)) return `${kind}/${subtype}`;
  const allowed = kinds.map((one) => `"${one}"`).join(" or ");
  throw new InvalidRequestError(
    `"${field}.kind" must be ${allowed}, since "${field}.bytes" are ${kinds[0]}/${subtype}, got "${kind}"`,
  );
}

/** @param isBase64 Whether its characters are base64, if that is known. */
function readBase64(field: string, value: unknown, isBase64: boolean | undefined): LongText {
  const base64 = readText(field, value);
  if (base64 === "" || base64.length % 4 !== 0 || !(isBase64 ?? base64Pieces(base64).every((isGood) => isGood))) {
    refuse(field, "base64 with padding, not empty", base64);
  }
  return base64;
}

/** Whether each piece of a text is base64. Decoding is ten times as fast as a regular expression. */
function* base64Pieces(text: LongText): Generator<boolean, void> {
  const bytes = new Uint8Array(Math.min(text.length, CHECKED_CHARACTERS) / 4 * 3);
  let checked = 0;
  for (const piece of piecesOf(text)) {
    checked += piece.length;
    const isLast = checked === text.length;
    // White space is skipped, and padding ends the text: less is decoded then.
    yield decodedBytes(piece, bytes) === piece.length / 4 * 3 - (isLast ? paddingOf(piece) : 0);
  }
}

/** Pieces of a text that can be decoded by themselves. */
function* piecesOf(text: LongText): Generator<string, void> {
  let begun = "";
  for (const part of partsOf(text)) {
    for (let at = 0; at < part.length;) {
      const end = at + CHECKED_CHARACTERS - begun.length;
      const piece = begun + part.slice(at, end);
      at = end;
      const whole = piece.length - piece.length % 4;
      if (whole > 0) yield piece.slice(0, whole);
      begun = piece.slice(whole);
    }
  }
  if (begun !== "") yield begun;
}

/** The first characters of a text. */
function beginningOf(text: LongText, length: number): string {
  let beginning = "";
  for (const part of partsOf(text)) {
    if (beginning.length >= length) break;
    beginning += part.slice(0, length - beginning.length);
  }
  return beginning;
}

/** The number of decoded bytes; -1 if the text cannot be decoded. */
function decodedBytes(text: string, into: Uint8Array): number {
  try {
    return into.setFromBase64(text).written;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return -1;
  }
}

function paddingOf(text: LongText): number {
  // The last part can be a single character.
  const base64 = partsOf(text).slice(-2).join("");
  return base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
}
