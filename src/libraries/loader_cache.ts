/**
 * Parser for `/etc/ld.so.cache`, in which glibc's loader caches the paths of shared libraries. Pure. The format is
 * glibc's `sysdeps/generic/dl-cache.h`: a header, 24-byte entries, and a string table.
 */

const MAGIC = "glibc-ld.so.cache1.1";
const HEADER_BYTES = 48;
const ENTRY_BYTES = 24;
const COUNT_AT = 20;
/** Entry flags by architecture. */
const FLAGS: Readonly<Record<string, number>> = { x86_64: 0x0303, aarch64: 0x0a03 };

/**
 * @param arch Architecture, in Deno's naming.
 * @returns Paths by library name; empty if the format is unknown.
 */
export function parseLoaderCache(bytes: Uint8Array, arch: string): Map<string, string> {
  const paths = new Map<string, string>();
  const start = findMagic(bytes);
  if (start < 0) return paths;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  const text = (at: number): string => {
    const from = start + at;
    const end = bytes.indexOf(0, from);
    return new TextDecoder().decode(bytes.subarray(from, end < 0 ? from : end));
  };
  const count = view.getUint32(COUNT_AT, true);
  for (let i = 0; i < count; i++) {
    const at = HEADER_BYTES + i * ENTRY_BYTES;
    if (at + ENTRY_BYTES > view.byteLength) break; // Truncated: the entries so far are valid.
    if (view.getUint32(at, true) !== FLAGS[arch]) continue;
    const name = text(view.getUint32(at + 4, true));
    // The loader uses the first match.
    if (!paths.has(name)) paths.set(name, text(view.getUint32(at + 8, true)));
  }
  return paths;
}

/** Offset of the cache; on older systems it follows one in the old format. */
function findMagic(bytes: Uint8Array): number {
  const magic = new TextEncoder().encode(MAGIC);
  for (let at = bytes.indexOf(magic[0] as number); at >= 0; at = bytes.indexOf(magic[0] as number, at + 1)) {
    if (at + HEADER_BYTES > bytes.length) return -1;
    if (magic.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
