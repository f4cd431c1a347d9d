import { assertEquals } from "@std/assert";
import { formatOf } from "../../../src/surfaces/media_type.ts";

const text = (chars: string): number[] => [...chars].map((char) => char.charCodeAt(0));
/** The beginning of an MP4 file of some brand. */
const mp4 = (
  brand: string,
): number[] => [0, 0, 0, 24, ...text("ftyp"), ...text(brand), 0, 0, 2, 0, ...text("iso2avc1")];
/** The beginning of a Matroska file: a header with its version and its type. */
const ebml = (type: string): number[] => [
  ...[0x1a, 0x45, 0xdf, 0xa3, 0x9f, 0x42, 0x86, 0x81, 1, 0x42, 0xf7, 0x81, 1, 0x42, 0xf2, 0x81, 4, 0x42, 0xf3, 0x81, 8],
  ...[0x42, 0x82, 0x80 + type.length, ...text(type)],
];
const riff = (form: string): number[] => [...text("RIFF"), 36, 0, 0, 0, ...text(form), ...text("fmt ")];

const formats: readonly [string, number[], string][] = [
  ["PNG", [0x89, ...text("PNG\r\n"), 0x1a, 0x0a, 0, 0, 0, 13], "image/png"],
  ["JPEG", [0xff, 0xd8, 0xff, 0xe0, 0, 16, ...text("JFIF")], "image/jpeg"],
  ["GIF", text("GIF89a"), "image/gif"],
  ["old GIF", text("GIF87a"), "image/gif"],
  ["WebP", riff("WEBP"), "image/webp"],
  ["AVIF", mp4("avif"), "image/avif"],
  ["HEIC", mp4("heic"), "image/heic"],
  ["WAV", riff("WAVE"), "audio/wav"],
  ["MP3 with tags", [...text("ID3"), 4, 0, 0, 0, 0, 0, 0], "audio/mpeg"],
  ["MP3", [0xff, 0xfb, 0x90, 0x44], "audio/mpeg"],
  ["FLAC", [...text("fLaC"), 0, 0, 0, 34], "audio/flac"],
  ["Ogg", [...text("OggS"), 0, 2, 0, 0], "audio/ogg video/ogg"],
  ["MP4", mp4("isom"), "audio/mp4 video/mp4"],
  ["M4A", mp4("M4A "), "audio/mp4"],
  ["QuickTime", mp4("qt  "), "video/quicktime"],
  ["WebM", ebml("webm"), "audio/webm video/webm"],
];

for (const [name, head, types] of formats) {
  Deno.test(`the format is found when the bytes begin as ${name} does`, () => {
    const format = formatOf(new Uint8Array(head));
    assertEquals(format?.kinds.map((kind) => `${kind}/${format.subtype}`).join(" "), types);
  });
}

Deno.test("no format is found when the bytes are those of none, or too few", () => {
  const others = [
    [],
    [0],
    text("BM"),
    text("%PDF-1.7"),
    riff("AVI "),
    ebml("matroska"),
    mp4("    "),
    text("RIFF"),
    // No MPEG audio: a reserved version, a reserved layer, a reserved bit rate, a reserved frequency.
    [0xff, 0xeb, 0x90, 0x44],
    [0xff, 0xf9, 0x90, 0x44],
    [0xff, 0xfb, 0xf0, 0x44],
    [0xff, 0xfb, 0x9c, 0x44],
  ];
  for (const head of others) assertEquals(formatOf(new Uint8Array(head)), undefined, String(head));
});
