/** Which format the bytes of an attachment are of, as their beginning tells. Nothing is decoded. */
import type { V2MediaKind } from "@inferd/client/protocol";

/** A format of pictures, sounds or films. */
export interface MediaFormat {
  /** What it may hold: for containers the bytes' beginning does not say which. */
  readonly kinds: readonly V2MediaKind[];
  /** Its media type behind the kind and the slash. */
  readonly subtype: string;
}

/** The formats, for messages. */
export const KNOWN_FORMATS = "PNG, JPEG, GIF, WebP, AVIF, HEIC, WAV, MP3, FLAC, Ogg, MP4, QuickTime and WebM";

/** Enough of the beginning for every format here. */
export const HEAD_BYTES = 96;

/** What a format's bytes have at one place, in characters of Latin-1; `?` is any byte. */
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
/** The element that says what kind of Matroska it is: its id, its length, its text. */
const WEBM = "\x42\x82\x84webm";

/**
 * Tell the format.
 *
 * @param head The first {@linkcode HEAD_BYTES} bytes, or all there are.
 * @returns The format; `undefined` if it is none of those known here.
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

/** A frame of MPEG audio: eleven bits that are set, then version, layer, bit rate and frequency, none of them reserved. */
function isMpegAudio([first = 0, second = 0, third = 0]: Uint8Array): boolean {
  const [version, layer, rate, frequency] = [second >> 3 & 3, second >> 1 & 3, third >> 4, third >> 2 & 3];
  return first === 0xff && second >> 5 === 7 && version !== 1 && layer !== 0 && rate !== 0 && rate !== 15 &&
    frequency !== 3;
}
