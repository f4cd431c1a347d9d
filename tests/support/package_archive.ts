/** Makes archives as npm packs them. */
import type { WantedPackage } from "../../src/libraries/fetch/download.ts";

const BLOCK_BYTES = 512;
const encoder = new TextEncoder();

/** A file of an archive, or something else that can stand in one. */
export interface ArchiveEntry {
  readonly path: string;
  readonly content?: Uint8Array<ArrayBuffer> | string;
  /** Default: a regular file. */
  readonly type?: string;
  /** The part of the path that stands in the second field for names. */
  readonly prefix?: string;
}

/** A tar archive. */
export function tarOf(entries: readonly ArchiveEntry[]): Uint8Array<ArrayBuffer> {
  const parts = entries.flatMap(({ path, content = "", type = "0", prefix = "" }) => {
    const bytes = typeof content === "string" ? encoder.encode(content) : content;
    const header = new Uint8Array(BLOCK_BYTES);
    const put = (at: number, text: string): void => header.set(encoder.encode(text), at);
    put(0, path);
    put(100, "0000644\0");
    put(124, bytes.length.toString(8).padStart(11, "0"));
    put(148, "        ");
    put(156, type);
    put(257, "ustar\u000000");
    put(345, prefix);
    put(148, `${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `);
    return [header, bytes, new Uint8Array((BLOCK_BYTES - bytes.length % BLOCK_BYTES) % BLOCK_BYTES)];
  });
  return joined([...parts, new Uint8Array(2 * BLOCK_BYTES)]);
}

/** A package: its archive, and what is known of that beforehand. */
export async function packageOf(
  name: string,
  files: Readonly<Record<string, Uint8Array<ArrayBuffer> | string>>,
): Promise<{ readonly archive: Uint8Array<ArrayBuffer>; readonly wanted: WantedPackage }> {
  const tar = tarOf(Object.entries(files).map(([path, content]) => ({ path: `package/${path}`, content })));
  const archive = await gzip(tar);
  return { archive, wanted: { name, bytes: archive.length, sha512: await sha512(archive) } };
}

/** Compress. */
export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** As npm writes it. */
export async function sha512(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-512", bytes)).toBase64();
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
