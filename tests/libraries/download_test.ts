/** Fetching a package of native libraries from registries that are slow, cut, lie, or say nothing. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { LoadPhase } from "@inferd/client/protocol";
import { downloadPackage, type WantedPackage } from "../../src/libraries/fetch/download.ts";
import { probeRegistry } from "../../src/libraries/fetch/registry_client.ts";
import { packagesFolder } from "../../src/libraries/packages.ts";
import { DownloadError } from "../../src/libraries/fetch/registry_client.ts";
import { gzip, packageOf, sha512, tarOf } from "../support/package_archive.ts";
import { PackageRegistry, type RegistryScript } from "../support/package_registry.ts";

/** Does not compress, so that the archive has a length to cut. */
const LIBRARY = crypto.getRandomValues(new Uint8Array(60_000));
const FILES = { "package.json": "{}", "bins/linux-x64/libllama.so": LIBRARY, LICENSE: "MIT" };
const { archive: ARCHIVE, wanted: WANTED } = await packageOf("linux-x64", FILES);
const HALF = ARCHIVE.length >> 1;

/** A cache folder, a registry, and what downloading says. */
class Site implements AsyncDisposable {
  readonly cacheDir = Deno.makeTempDirSync({ prefix: "inferd-libraries-" });
  readonly registry: PackageRegistry;
  readonly phases: LoadPhase[] = [];
  readonly retries: string[] = [];
  waits = 0;

  constructor(script: RegistryScript = {}, archive = ARCHIVE) {
    this.registry = PackageRegistry.start(archive, WANTED.sha512, script);
  }

  download(wanted: WantedPackage = WANTED): Promise<void> {
    return downloadPackage(wanted, {
      cacheDir: this.cacheDir,
      registry: this.registry.registry,
      onPhase: (phase) => this.phases.push(phase),
      onRetry: ({ reason }) => this.retries.push(reason),
      onWait: () => this.waits++,
      stallMs: 300,
      backoffMs: 1,
    });
  }

  /** Everything below the cache folder, sorted. */
  files(): string[] {
    const found: string[] = [];
    const walk = (folder: string): void => {
      for (const { name, isDirectory } of Deno.readDirSync(folder)) {
        if (isDirectory) walk(`${folder}/${name}`);
        else found.push(`${folder}/${name}`.slice(this.cacheDir.length + 1));
      }
    };
    walk(this.cacheDir);
    return found.sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
    await Deno.remove(this.cacheDir, { recursive: true });
  }
}

/** What is in the cache when the package is whole and nothing else is left. */
const WHOLE = Object.keys(FILES).map((path) => `${packagesFolder("").slice(1)}/linux-x64/${path}`).sort();

Deno.test("downloadPackage fetches, verifies and unpacks, and says how far it is", async () => {
  await using site = new Site();
  await site.download();
  assertEquals(site.files(), WHOLE);
  assertEquals(Deno.readFileSync(`${packagesFolder(site.cacheDir)}/linux-x64/bins/linux-x64/libllama.so`), LIBRARY);
  const source = `${site.registry.url}@node-llama-cpp/linux-x64`;
  const at = (bytes: number): LoadPhase => ({
    phase: "download",
    downloaded_bytes: bytes,
    total_bytes: ARCHIVE.length,
    source_url: source,
  });
  assertEquals(site.phases[0], at(0));
  assertEquals(site.phases.at(-2), at(ARCHIVE.length));
  assertEquals(site.phases.at(-1)?.phase, "verify");
  assertEquals(site.registry.asked.map(({ path }) => path), ["/@node-llama-cpp%2flinux-x64"]);
});

Deno.test("downloadPackage asks nobody when the package is here", async () => {
  await using site = new Site();
  await site.download();
  await site.download();
  assertEquals([site.registry.asked.length, site.registry.archive.requests.length], [1, 1]);
});

Deno.test("downloadPackage goes on where it was cut, from a registry that names no version of what it sends", async () => {
  await using site = new Site({ archive: [{ cutAfter: HALF }] });
  await site.download();
  assertEquals(site.registry.archive.ranges, [null, `bytes=${HALF}-`]);
  assertEquals(site.registry.archive.requests[1]?.headers.get("if-range"), null);
  assertEquals([site.files(), site.retries.length], [WHOLE, 1]);
});

Deno.test("downloadPackage goes on where an earlier start was cut for good", async () => {
  await using site = new Site({ archive: [{ cutAfter: HALF }, ...Array(6).fill({ hangUp: true })] });
  const error = await assertRejects(() => site.download(), DownloadError);
  assertMatch(
    error.message,
    /^Cannot fetch @node-llama-cpp\/linux-x64 3\.21\.1 from "http:\/\/127\.0\.0\.1:\d+\/": .*\(tried 6 times\)/,
  );
  await site.download();
  assertEquals(site.registry.archive.ranges.at(-1), `bytes=${HALF}-`);
  assertEquals(site.files(), WHOLE);
});

Deno.test("downloadPackage never gives up a line that is cut again and again as long as something comes", async () => {
  const piece = Math.ceil(ARCHIVE.length / 20);
  await using site = new Site({ archive: Array(19).fill({ cutAfter: piece }) });
  await site.download();
  assertEquals(site.registry.archive.requests.length, 20);
  assertEquals(site.files(), WHOLE);
});

Deno.test("downloadPackage gives up a registry that begins anew each time and never comes to the end", async () => {
  const answers = Array(10).fill({ cutAfter: HALF, ignoreRange: true });
  await using site = new Site({ archive: answers });
  await assertRejects(() => site.download(), DownloadError, "(tried 6 times)");
});

Deno.test("downloadPackage gives up with one error when the registry never answers", async () => {
  const never = Promise.withResolvers<Response>();
  await using site = new Site({ metadata: () => never.promise });
  const error = await assertRejects(() => site.download(), DownloadError);
  assertMatch(error.message, /: no response for 0\.3 s \(tried 3 times\)/);
  never.resolve(new Response());
});

Deno.test("downloadPackage gives up when the archive stalls before its first byte, and tries longer when bytes came", async () => {
  await using silent = new Site({ archive: Array(3).fill({ stallAfter: 0 }) });
  await assertRejects(() => silent.download(), DownloadError, "(tried 3 times)");
  await using slow = new Site({
    archive: [{ stallAfter: HALF }, { stallAfter: 0 }, { stallAfter: 0 }, { stallAfter: 0 }],
  });
  await slow.download();
  assertEquals(slow.files(), WHOLE);
});

Deno.test("downloadPackage begins anew when what was left over belongs to something else", async () => {
  await using site = new Site({ archive: [{ cutAfter: HALF }, ...Array(6).fill({ hangUp: true })] });
  await assertRejects(() => site.download(), DownloadError);
  const partial = `${packagesFolder(site.cacheDir)}/.partial-linux-x64/data.tmp`;
  Deno.writeFileSync(partial, new Uint8Array(HALF));
  await site.download();
  assertEquals(site.registry.archive.ranges.slice(-2), [`bytes=${HALF}-`, null]);
  assertEquals(site.files(), WHOLE);
});

const wrong = ARCHIVE.slice();
wrong[HALF] = ~(wrong[HALF] as number);
const outside = await gzip(tarOf([{ path: "elsewhere/libllama.so", content: LIBRARY }]));
const bomb = await gzip(tarOf([{ path: "package/../../../x", content: LIBRARY }]));
const REFUSED: readonly [string, Uint8Array<ArrayBuffer>, Partial<WantedPackage>, string][] = [
  ["it hashes to something else", wrong, {}, "the SHA-512 of the download is "],
  ["it is shorter", ARCHIVE.slice(0, HALF), {}, `the server says that it is ${HALF} bytes long`],
  [
    "it has files outside of the package's folder",
    outside,
    { bytes: outside.length, sha512: await sha512(outside) },
    '"elsewhere/libllama.so" is not below "package/"',
  ],
  [
    "a name in it leads out of it",
    bomb,
    { bytes: bomb.length, sha512: await sha512(bomb) },
    '"package/../../../x" leads out of the archive',
  ],
];
for (const [when, archive, wanted, message] of REFUSED) {
  Deno.test(`downloadPackage refuses what comes when ${when}, and puts nothing in place`, async () => {
    const script = { metadata: saysNoHash };
    await using site = new Site(script, archive);
    await assertRejects(() => site.download({ ...WANTED, ...wanted }), DownloadError, message);
    assertEquals(site.files().filter((path) => !path.includes("/.partial-")), []);
  });
}

/** As registries of the time before SHA-512 do. */
function saysNoHash(_request: Request, right: Record<string, unknown>): Response {
  return Response.json(JSON.parse(JSON.stringify(right, (key, value) => key === "integrity" ? undefined : value)));
}

Deno.test("downloadPackage refuses a registry that says that the package is another one, before it fetches it", async () => {
  await using site = new Site({
    metadata: (_request, right) =>
      new Response(JSON.stringify(right).replace(WANTED.sha512, "AAAA"), {
        headers: { "content-type": "application/json" },
      }),
  });
  await assertRejects(
    () => site.download(),
    DownloadError,
    "the registry has another package under this name (sha512-AAAA)",
  );
  assertEquals(site.registry.archive.requests.length, 0);
});

for (
  const [what, answer, message] of [
    ["does not know the package", () => new Response(null, { status: 404 }), "the registry answers 404"],
    ["wants a key", () => new Response(null, { status: 401 }), "the registry answers 401"],
    ["does not have the release", () => Response.json({ versions: {} }), "the registry does not have this release"],
    ["answers with a page", () => new Response("<html>"), "(tried 3 times)"],
    ["is out of order", () => new Response(null, { status: 503 }), "the registry answers 503 (tried 3 times)"],
  ] as const
) {
  Deno.test(`downloadPackage says so when the registry ${what}`, async () => {
    await using site = new Site({ metadata: answer });
    await assertRejects(() => site.download(), DownloadError, message);
  });
}

Deno.test("downloadPackage tells its key to the registry, and not to another server that has the archive", async () => {
  await using site = new Site();
  const registry = { url: new URL(site.registry.url), authorization: "Bearer secret" };
  await downloadPackage(WANTED, { cacheDir: site.cacheDir, registry, onPhase: () => {} });
  assertEquals(site.registry.asked[0]?.authorization, "Bearer secret");
  assertEquals(site.registry.archive.requests[0]?.headers.get("authorization"), null);
});

Deno.test("downloadPackage tells its key where the registry has the archive itself, and not where it redirects to", async () => {
  await using elsewhere = new Site();
  const seen: (string | null)[] = [];
  await using registry = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    seen.push(request.headers.get("authorization"));
    if (request.url.endsWith(".tgz")) return Response.redirect(elsewhere.registry.archive.url);
    return Response.json({ versions: { "3.21.1": { dist: { tarball: "/own.tgz" } } } });
  });
  const url = new URL(`http://127.0.0.1:${registry.addr.port}/`);
  const options = {
    cacheDir: elsewhere.cacheDir,
    registry: { url, authorization: "Bearer secret" },
    onPhase: () => {},
  };
  await downloadPackage(WANTED, options);
  assertEquals(seen, ["Bearer secret", "Bearer secret"]);
  assertEquals(elsewhere.registry.archive.requests[0]?.headers.get("authorization"), null);
});

Deno.test("downloadPackage fetches once when two want the same", async () => {
  await using site = new Site();
  await Promise.all([site.download(), site.download()]);
  assertEquals([site.registry.archive.requests.length, site.waits], [1, 1]);
  assertEquals(site.files(), WHOLE);
});

Deno.test("probeRegistry says whether a registry answers", async () => {
  await using site = new Site();
  await probeRegistry("node-llama-cpp", site.registry.registry, { stallMs: 300, backoffMs: 1 });
  const never = Promise.withResolvers<Response>();
  await using silent = new Site({ metadata: () => never.promise });
  await assertRejects(
    () => probeRegistry("node-llama-cpp", silent.registry.registry, { stallMs: 50, backoffMs: 1 }),
    DownloadError,
    "no response for 0.05 s (tried 3 times)",
  );
  never.resolve(new Response());
});
