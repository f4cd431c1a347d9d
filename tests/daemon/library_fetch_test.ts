/** A daemon on a machine that has no native libraries yet: what it fetches, says, and does when it cannot. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { LlamaBackendConfig } from "../../src/config/options.ts";
import { LIBRARY_VERSION, packagedFolder, platformPackage } from "../../src/libraries/library_files.ts";
import { packagesFolder } from "../../src/libraries/packages.ts";
import { DaemonUnderTest, until } from "../support/daemons.ts";
import { DenoCacheWithout } from "../support/deno_cache.ts";
import { packageOf } from "../support/package_archive.ts";
import { PackageRegistry, type RegistryScript } from "../support/package_registry.ts";
import { eventually } from "../support/waiting.ts";

const NAME = platformPackage(Deno.build.os, Deno.build.arch) ?? "";
/** Makes vectors, so that no chat template is looked for. */
const BACKEND: LlamaBackendConfig = {
  kind: "llamacpp",
  name: "vectors",
  modelName: "inferd-tiny-embed",
  accelerator: "cpu",
};

/** The package of this platform, packed again; without the large files that nobody opens. */
async function packed(): Promise<Awaited<ReturnType<typeof packageOf>>> {
  const folder = await packagedFolder();
  const files: Record<string, Uint8Array<ArrayBuffer>> = {};
  for (const { name } of Deno.readDirSync(folder)) {
    if (/llama-common|\.node$|\.lib$/.test(name)) continue;
    files[`bins/${NAME}/${name}`] = Deno.readFileSync(`${folder}/${name}`);
  }
  return await packageOf(NAME, files);
}

/** A machine without libraries, whose npm is configured with a registry of the test's. */
class NewMachine implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "inferd-new-" });
  readonly registry: PackageRegistry;
  readonly #cache = new DenoCacheWithout(/@node-llama-cpp/);
  readonly #packed: Awaited<ReturnType<typeof packageOf>>;
  readonly #before = ["HOME", "DENO_DIR", "NPM_CONFIG_REGISTRY"].map((name) => [name, Deno.env.get(name)] as const);

  private constructor(whole: Awaited<ReturnType<typeof packageOf>>, script: RegistryScript) {
    this.#packed = whole;
    this.registry = PackageRegistry.start(whole.archive, whole.wanted.sha512, script);
    Deno.writeTextFileSync(`${this.dir}/.npmrc`, `@node-llama-cpp:registry=${this.registry.url}\n`);
    // What the daemon's processes see.
    Deno.env.set("HOME", this.dir);
    Deno.env.set("DENO_DIR", this.#cache.dir);
    Deno.env.delete("NPM_CONFIG_REGISTRY");
  }

  static async make(script: RegistryScript = {}): Promise<NewMachine> {
    return new NewMachine(await packed(), script);
  }

  get archiveBytes(): number {
    return this.#packed.archive.length;
  }

  /** Start a daemon. */
  daemon(backends: readonly LlamaBackendConfig[] = [BACKEND]): Promise<DaemonUnderTest> {
    return DaemonUnderTest.start({ backends, home: this.dir, cacheDir: `${this.dir}/cache` }, {
      packages: { [NAME]: this.#packed.wanted },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, value] of this.#before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    this.#cache[Symbol.dispose]();
    await this.registry[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("a daemon fetches the libraries it lacks once, goes on where the line was cut, and says how far it is", async () => {
  const whole = await packed();
  await using machine = await NewMachine.make({ archive: [{ cutAfter: whole.archive.length >> 1 }] });
  {
    await using test = await machine.daemon();
    using admin = await test.admin();
    const said = await until(admin, "ready");
    assertEquals([said.includes("loading_model download"), said.includes("loading_model verify")], [true, true]);
    await test.daemon.ready;
    assertEquals(machine.registry.archive.ranges, [null, `bytes=${whole.archive.length >> 1}-`]);
    const downloads = test.log.of("download").map(({ fields }) => [fields.percent, fields.total_bytes]);
    assertEquals([downloads[0], downloads.at(-1)], [[0, machine.archiveBytes], [100, machine.archiveBytes]]);
    assertEquals(test.log.of("library_fetch_retried").length, 1);
    assertEquals(test.log.of("library_fetched").map(({ fields }) => fields.packages), [[NAME]]);
  }
  await using again = await machine.daemon();
  await again.daemon.ready;
  assertEquals([machine.registry.archive.requests.length, again.log.of("download")], [2, []]);
});

Deno.test("a daemon does not count the time of fetching, and several backends wait for one download", async () => {
  const held = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  await using machine = await NewMachine.make({
    metadata: async (_request, right) => {
      asked.resolve();
      await held.promise;
      return Response.json(right);
    },
  });
  const other: LlamaBackendConfig = { ...BACKEND, name: "scores", modelName: "inferd-tiny-rerank" };
  const time = new FakeTime();
  await using test = await machine.daemon([BACKEND, other]);
  try {
    await asked.promise;
    await test.log.next("library_fetch_waits");
    // Longer than all there is to get ready.
    time.tick(10 * 60_000);
  } finally {
    time.restore();
  }
  held.resolve();
  await test.daemon.ready;
  assertEquals(machine.registry.archive.requests.length, 1);
});

Deno.test("a daemon does not start, and says why in one line, when the libraries cannot be had", async () => {
  await using machine = await NewMachine.make({ metadata: () => new Response(null, { status: 404 }) });
  await using test = await machine.daemon();
  const error = await assertRejects(() => test.daemon.ready);
  assertEquals(
    error instanceof Error ? error.message.split(". ")[0] : error,
    `Cannot fetch @node-llama-cpp/${NAME} ${LIBRARY_VERSION} from "${machine.registry.url}": the registry answers 404`,
  );
  // One engine, that was not started again.
  assertEquals(test.log.of("engine_exited"), []);
});

Deno.test("a daemon ends at once when it is drained while it fetches, and the next one goes on from there", async () => {
  const whole = await packed();
  const half = whole.archive.length >> 1;
  await using machine = await NewMachine.make({ archive: [{ stallAfter: half }] });
  {
    await using test = await machine.daemon();
    await machine.registry.archive.seen(1);
    const partial = `${packagesFolder(`${machine.dir}/cache`)}/.partial-${NAME}/data.tmp`;
    const isHalf = async (): Promise<boolean> => (await Deno.stat(partial).catch(() => undefined))?.size === half;
    await eventually(`${half} bytes in "${partial}"`, isHalf);
    await test.daemon.drain();
  }
  await using next = await machine.daemon();
  await next.daemon.ready;
  assertMatch(String(machine.registry.archive.ranges.at(-1)), new RegExp(`^bytes=${half}-$`));
});
