/** `models/built_in.ts` when the program does not lie on a disk: against a local HTTP server. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { LoadPhase } from "@inferd/client/protocol";
import { BUILT_INS, BuiltInError, builtInModelFile, builtInModelPath } from "../../src/models/built_in.ts";

const BUILT_IN = BUILT_INS["inferd-tiny"];

interface Site {
  readonly url: URL;
  readonly cacheDir: string;
  requests: number;
}

/** A server that answers every request with `respond`, and a cache folder that is not there yet. */
async function withSite(respond: () => Response, work: (site: Site) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "inferd-built-in-" });
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => resolve(port) }, () => {
    site.requests++;
    return respond();
  });
  const url = new URL(`http://127.0.0.1:${await promise}/models/inferd-tiny.gguf`);
  const site: Site = { url, cacheDir: `${dir}/cache`, requests: 0 };
  try {
    await work(site);
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name);
}

const model = (): Uint8Array<ArrayBuffer> => Deno.readFileSync(BUILT_IN.url);

Deno.test("builtInModelPath is the file beside the sources when these lie on a disk", async () => {
  const path = await builtInModelPath({ cacheDir: "/nonexistent" });
  assert(path.endsWith("/models/inferd-tiny.gguf"));
  assert(Deno.statSync(path).isFile);
});

Deno.test("builtInModelPath fetches once and checks the hash when the sources lie elsewhere", () =>
  withSite(() => new Response(model()), async (site) => {
    const phases: LoadPhase[] = [];
    const onPhase = (phase: LoadPhase): unknown => phases.push(phase);
    const path = await builtInModelPath({ ...site, onPhase });
    assertEquals(path, builtInModelFile(site));
    assertEquals(Deno.readFileSync(path), model());
    const total = Deno.statSync(path).size;
    assertEquals(
      phases,
      [0, total].map((downloaded_bytes) => ({
        phase: "download",
        downloaded_bytes,
        total_bytes: total,
        source_url: site.url.href,
      })),
    );
    assertEquals(await builtInModelPath({ ...site, onPhase }), path);
    assertEquals(phases.at(-1), { phase: "verify", path });
    assertEquals(site.requests, 1);
    assertEquals(names(site.cacheDir).length, 1);
  }));

Deno.test("builtInModelPath fetches again when what is cached is damaged", () =>
  withSite(() => new Response(model()), async (site) => {
    const path = builtInModelFile(site);
    Deno.mkdirSync(site.cacheDir);
    Deno.writeTextFileSync(path, "GGUF damaged");
    await builtInModelPath(site);
    assertEquals(Deno.readFileSync(path), model());
  }));

for (
  const [what, respond, reason] of [
    ["the server does not have it", () => new Response("no", { status: 404 }), "the server answered 404"],
    ["what comes is something else", () => new Response("GGUF"), "the SHA-256 of the download is "],
    ["what comes does not end", () => new Response(endless()), "the response is longer than 5729120 bytes"],
  ] as const
) {
  Deno.test(`builtInModelPath leaves nothing behind when ${what}`, () =>
    withSite(respond, async (site) => {
      const error = await assertRejects(() => builtInModelPath(site), BuiltInError);
      assert(error.message.startsWith(`Cannot fetch the built-in model from "${site.url}": ${reason}`), error.message);
      assertEquals(names(site.cacheDir), []);
    }));
}

Deno.test("builtInModelPath says so when nobody answers", () =>
  withSite(() => new Response(), async (site) => {
    const url = new URL("http://127.0.0.1:1/inferd-tiny.gguf");
    const error = await assertRejects(() => builtInModelPath({ ...site, url }), BuiltInError);
    assert(error.message.startsWith(`Cannot fetch the built-in model from "${url}"`), error.message);
  }));

Deno.test("the hash in the sources is that of the model that is shipped", async () => {
  const digest = await crypto.subtle.digest("SHA-256", model());
  assertEquals(new Uint8Array(digest).toHex(), BUILT_IN.sha256);
});

function endless(): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(1024 * 1024);
  return new ReadableStream({ pull: (controller) => controller.enqueue(chunk) });
}
