/** The CPU code that comes with the program: whole, of the right release, and what the engine computes with. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { engineCommand } from "../../src/engine/command.ts";
import { loadCpuCode, OWN_VARIANTS, ownBuildUrl, readBuild } from "../../src/engine/cpu_code.ts";
import { findLibrary, LIBRARY_VERSION, packagedFolder } from "../../src/engine/library_files.ts";
import builds from "../../native/linux-x64/builds.json" with { type: "json" };
import { HAS_OWN_CPU_CODE } from "../support/own_cpu_code.ts";
import { EngineChild } from "./engine_child.ts";

const MEMORY_FILE = /^\/proc\/self\/fd\/\d+$/;

async function library(variant: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(await readBuild(ownBuildUrl(variant))).arrayBuffer());
}

/** The texts in a library: what it says, and the versions of the system's libraries that it asks for. */
function texts(library: Uint8Array): string {
  return new TextDecoder("latin1").decode(library);
}

for (const variant of OWN_VARIANTS) {
  Deno.test(`the "${variant}" code is whole and of the release that the engine uses`, async () => {
    const { release, bytes, sha256 } = builds[variant];
    assertEquals(release, LIBRARY_VERSION);
    const own = await library(variant);
    assertEquals(own.length, bytes);
    assertEquals(new Uint8Array(await crypto.subtle.digest("SHA-256", own)).toHex(), sha256);
    assert(!texts(own).includes("/llama.cpp/"), "no path of where it was built");
  });

  Deno.test({
    name: `the "${variant}" code asks nothing of the system that npm's does not`,
    ignore: Deno.build.target !== "x86_64-unknown-linux-gnu",
    async fn(): Promise<void> {
      const file = findLibrary(await packagedFolder(), `ggml-cpu-${variant}`);
      assert(file !== undefined);
      const needs = (library: Uint8Array): Set<string> =>
        new Set(texts(library).match(/\b(GLIBC|GLIBCXX|CXXABI)_[\d.]+|\blib[\w+-]+\.so[.\d]*/g));
      const own = needs(await library(variant));
      assert(own.has("libc.so.6") && own.has("libggml-base.so"));
      assertEquals([...own.difference(needs(Deno.readFileSync(file)))], []);
    },
  });
}

Deno.test("a build is read with the engine's permissions when the program comes from a server", async () => {
  const asked: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    return new Response(await Deno.readFile(ownBuildUrl(pathname.slice(1))));
  });
  const host = `127.0.0.1:${server.addr.port}`;
  const { command, args } = engineCommand();
  const reading = await new Deno.Command(command, {
    args: [
      ...args.slice(0, -1),
      `--allow-import=${host}`,
      fromFileUrl(import.meta.resolve("./read_build.ts")),
      `http://${host}/haswell`,
    ],
  }).output();
  const decoder = new TextDecoder();
  assertEquals(decoder.decode(reading.stdout).trim(), builds.haswell.sha256, decoder.decode(reading.stderr));
  assertEquals(asked, ["/haswell"]);
});

Deno.test({
  name: "engine computes with the code that comes with inferd when it has npm's libraries",
  ignore: !HAS_OWN_CPU_CODE,
  async fn(): Promise<void> {
    await using engine = EngineChild.spawn();
    await engine.send({ op: "check" });
    await engine.exit();
    const said = engine.messages.at(-1);
    assertEquals(said?.type === "library" && said.cpu?.own, true, JSON.stringify(said));
  },
});

Deno.test({
  name: "loadCpuCode takes npm's code when our own cannot be loaded",
  ignore: !HAS_OWN_CPU_CODE,
  async fn(): Promise<void> {
    const folder = await packagedFolder();
    const tried: string[] = [];
    const load = (path: string): boolean => tried.push(path) > 1;
    const said = Promise.withResolvers<string>();
    const { error } = console;
    console.error = said.resolve;
    try {
      const loaded = await loadCpuCode(folder, { narrow: true, quantized: true, own: true, load });
      assertEquals(loaded?.own, false);
      assertMatch(await said.promise, /^The "\w+" code that comes with inferd cannot be loaded, npm's is slower: /);
      assertMatch(tried[0] ?? "", MEMORY_FILE);
      assertEquals(tried.slice(1), [findLibrary(folder, `ggml-cpu-${loaded?.variant}`)]);
    } finally {
      console.error = error;
    }
  },
});

Deno.test({
  name: "loadCpuCode takes a folder's own code when it is not npm's",
  ignore: !HAS_OWN_CPU_CODE,
  async fn(): Promise<void> {
    const folder = await packagedFolder();
    const tried: string[] = [];
    const loaded = await loadCpuCode(folder, {
      narrow: true,
      quantized: true,
      own: false,
      load: (path) => tried.push(path) > 0,
    });
    assertEquals(loaded?.own, false);
    assertEquals(tried, [findLibrary(folder, `ggml-cpu-${loaded?.variant}`)]);
  },
});

Deno.test({
  name: "loadCpuCode takes the code with tiles only when there are quantized weights",
  ignore: !HAS_OWN_CPU_CODE,
  async fn(): Promise<void> {
    const haswell = findLibrary(await packagedFolder(), "ggml-cpu-haswell");
    assert(haswell !== undefined);
    const folder = await Deno.makeTempDir();
    try {
      // Code that runs here, under the names.
      for (const variant of ["sapphirerapids", "haswell"]) {
        await Deno.symlink(haswell, `${folder}/libggml-cpu-${variant}.so`);
      }
      for (const own of [true, false]) {
        const options = { narrow: false, own, load: () => true };
        const tiles = { variant: "sapphirerapids", own: false };
        assertEquals(await loadCpuCode(folder, { ...options, quantized: true }), tiles);
        assertEquals(await loadCpuCode(folder, { ...options, quantized: false }), { variant: "haswell", own });
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("loadCpuCode leaves the choice to ggml when no variant is known", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assertEquals(await loadCpuCode(folder, { narrow: false, quantized: true, own: true, load: () => true }), undefined);
  } finally {
    await Deno.remove(folder);
  }
});
