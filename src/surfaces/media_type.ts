/** The format of an attachment, detected from its first bytes. Nothing is decoded. */
import type { V2MediaKind } from "@inferd/client/protocol";

export interface MediaFormat {
  /** The kinds it may hold: for containers the first bytes do not say which. */
  readonly kinds: readonly V2MediaKind[];
  /** The subtype of its media type. */
  readonly subtype: string;
}

/** The formats, for error messages. */
export const KNOWN_FORMATS = "PNG, JPEG, GIF, WebP, AVIF, HEIC, WAV, MP3, FLAC, Ogg, MP4, QuickTime and WebM";

/** Bytes needed to detect every supported format. */
export const HEAD_BYTES = 96;

/** The bytes of a format at one offset, as Latin-1 characters; `?` is any byte. */
interface Signature extends MediaFormat {
  readonly at: number;
  readonly bytes: string;
}

const image = (subtype: string, bytes: string, at = 0): Signature => ({ kinds: ["image"], subtype, at, bytes });
const audio = (subtype: string, bytes: string, at = 0): Signature => ({ kinds: ["audio"], subtype, at, bytes });
const video = (subtype: string, bytes: string, at = 0): Signature => ({ kinds: ["video"], subtype, at, bytes });
const either = (subtype: string, bytes: string, at = 0): Signature => ({
  kinds: ["audio", "video"],
  subtype,
  at,
  bytes,
});

const BRAND_AT = 4;

const SIGNATURES: readonly Signature[] = [
  image("png", "\x89PNG\r\n\x1a\n"),
  image("jpeg", "\xff\xd8\xff"),
  image("gif", "GIF87a"),
  image("gif", "GIF89a"),
  image("webp", "RIFF????WEBP"),
  image("avif", "ftypavif", BRAND_AT),
  image("avif", "ftypavis", BRAND_AT),
  ...["heic", "heix", "mif1"].map((brand) => image("heic", `ftyp${brand}`, BRAND_AT)),
  audio("wav", "RIFF????WAVE"),
  audio("mpeg", "ID3"),
  audio("flac", "fLaC"),
  audio("mp4", "ftypM4A ", BRAND_AT),
  either("ogg", "OggS"),
  video("quicktime", "ftypqt  ", BRAND_AT),
  ...["isom", "iso2", "iso4", "iso5", "iso6", "mp41", "mp42", "avc1", "dash", "M4V "]
    .map((brand) => either("mp4", `ftyp${brand}`, BRAND_AT)),
];

const EBML = "\x1a\x45\xdf\xa3";
/** The DocType element of Matroska: its id, length and text. */
const WEBM = "\x42\x82\x84webm";

/**
 * Detect the format.
 *
 * @param head The first {@linkcode HEAD_BYTES} bytes, or all there are.
 * @returns The format; `undefined` if unknown.
 */
export function formatOf(head: Uint8Array): MediaFormat | undefined {
  const text = String.fromCharCode(...head.subarray(0, HEAD_BYTES));
  const found = SIGNATURES.find(({ at, bytes }) => matches(text.slice(at), bytes));
  if (found !== undefined) return { kinds: found.kinds, subtype: found.subtype };
  if (matches(text, EBML) && text.includes(WEBM)) return { kinds: ["audio", "video"], subtype: "webm" };
  return isMpegAudio(head) ? { kinds: ["audio"], subtype: "mpeg" } : undefined;
}

function matches(text: string, bytes: string): boolean {
  if (text.length < bytes.length) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== "?" && bytes[i] !== text[i]) return false;
  return true;
}

/**
 * A frame of MPEG audio: eleven bits that are set, then version, layer, bit rate and frequency, none of them reserved.
 */
function isMpegAudio([first = 0, second = 0, third = 0]: Uint8Array): boolean {
  const [version, layer, rate, frequency] = [second >> 3 & 3, second >> 1 & 3, third >> 4, third >> 2 & 3];
  return first === 0xff && second >> 5 === 7 && version !== 1 && layer !== 0 && rate !== 0 && rate !== 15 &&
    frequency !== 3;
}
