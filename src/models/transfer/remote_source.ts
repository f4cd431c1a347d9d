/** A remote file as a byte source: range requests, so that a model's header can be read without the rest. */
import type { ByteSource } from "../file/gguf_cursor.ts";
import { ModelStoreError } from "../store/store_error.ts";
import { askHub, type HubOptions } from "./hub.ts";
import { shownUrl } from "./reference.ts";

/** Range size: most headers, including the vocabulary, take a few of these. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * Open a remote file.
 *
 * @returns The source; it caches only the last chunk.
 * @throws {ModelStoreError} If it cannot be read, or the server does not support ranges.
 */
export async function remoteSource(url: URL, options: HubOptions): Promise<ByteSource> {
  const what = `Cannot read "${shownUrl(url)}"`;
  const ask = async (from: number): Promise<{ readonly bytes: Uint8Array; readonly total: number }> => {
    const headers = { range: `bytes=${from}-${from + CHUNK_BYTES - 1}` };
    const { response } = await askHub(url, { ...options, what, headers });
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
    if (response.status !== 206 || Number(start) !== from || total === undefined) {
      await response.body?.cancel();
      throw new ModelStoreError("http", `${what}: the server does not send parts of files; pull the model instead`);
    }
    return { bytes: await atMost(response, CHUNK_BYTES), total: Number(total) };
  };
  const first = await ask(0);
  let [start, bytes] = [0, first.bytes];
  return {
    size: first.total,
    async read(position, buffer): Promise<number> {
      if (position >= first.total) return 0;
      if (position < start || position >= start + bytes.length) {
        [start, bytes] = [position, (await ask(position)).bytes];
      }
      const piece = bytes.subarray(position - start, position - start + buffer.length);
      buffer.set(piece);
      return piece.length;
    },
  };
}

/** Response body, cut off at a maximum size. */
async function atMost(response: Response, most: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(most);
  let length = 0;
  for await (const piece of response.body ?? []) {
    const taken = piece.subarray(0, most - length);
    bytes.set(taken, length);
    length += taken.length;
    if (length === most) break;
  }
  return bytes.subarray(0, length);
}
