/**
 * `/etc/ld.so.cache`, in which glibc's loader keeps where each shared library is. Pure. The format is glibc's
 * `sysdeps/generic/dl-cache.h`: a header, entries of 24 bytes, and the texts they point to.
 */

const MAGIC = "glibc-ld.so.cache1.1";
const HEADER_BYTES = 48;
const ENTRY_BYTES = 24;
const COUNT_AT = 20;
/** How an entry says that its library is for a processor. */
const FLAGS: Readonly<Record<string, number>> = { x86_64: 0x0303, aarch64: 0x0a03 };

/**
 * Where the libraries for a processor are.
 *
 * @param bytes The cache.
 * @param arch As Deno names it.
 * @returns Paths by name; none if it is something else than a cache.
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
    if (at + ENTRY_BYTES > view.byteLength) break; // Cut short: what was read is right.
    if (view.getUint32(at, true) !== FLAGS[arch]) continue;
    const name = text(view.getUint32(at + 4, true));
    // The first one is the one that the loader takes.
    if (!paths.has(name)) paths.set(name, text(view.getUint32(at + 8, true)));
  }
  return paths;
}

/** Where the cache begins; older systems have another one before it. */
function findMagic(bytes: Uint8Array): number {
  const magic = new TextEncoder().encode(MAGIC);
  for (let at = bytes.indexOf(magic[0] as number); at >= 0; at = bytes.indexOf(magic[0] as number, at + 1)) {
    if (at + HEADER_BYTES > bytes.length) return -1;
    if (magic.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
