/**
 * A job of the store's benchmark in its own process, so that its memory can be measured: `serve` answers every request
 * with a repeated piece up to the given size, `hash` hashes a file, `pull` pulls from a URL into a store. Each prints
 * lines of JSON.
 */
import { repeated } from "./store_bytes.ts";
import { hashModelFile } from "../src/models/file/model_file.ts";
import { Store } from "../src/models/store.ts";

const SAMPLE_MS = 20;

/** Output of `hash` and `pull`. */
export interface StoreJobResult {
  readonly sha256: string;
  readonly ms: number;
  /** Growth of resident memory. */
  readonly grownBytes: number;
}

async function measure(work: () => Promise<{ readonly sha256: string }>): Promise<StoreJobResult> {
  const before = Deno.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), SAMPLE_MS);
  const start = performance.now();
  const { sha256 } = await work();
  const ms = performance.now() - start;
  clearInterval(timer);
  return { sha256, ms, grownBytes: Math.max(peak, Deno.memoryUsage().rss) - before };
}

const [work, ...args] = Deno.args;
if (work === "serve") {
  const [path = "", size] = args;
  const bytes = Number(size);
  const piece = Deno.readFileSync(path);
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(JSON.stringify({ port })),
  }, () =>
    new Response(ReadableStream.from(repeated(piece, bytes)), {
      headers: { "content-length": String(bytes), etag: '"1"' },
    }));
} else if (work === "hash") {
  console.log(JSON.stringify(await measure(() => hashModelFile(args[0] ?? ""))));
} else {
  const [root = "", url = "", sha256 = ""] = args;
  const store = new Store(root);
  console.log(JSON.stringify(await measure(() => store.pull({ name: "bench", url, sha256 }))));
}
