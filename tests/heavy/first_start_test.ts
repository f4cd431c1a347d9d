/**
 * The first start of the program with npm's own package of libraries, over a line that is slow and cut. Needs a folder
 * with what `npm pack @node-llama-cpp/PLATFORM@VERSION` makes.
 */
import { assertEquals } from "@std/assert";
import { LIBRARY_VERSION, platformPackage } from "../../src/libraries/library_files.ts";
import { fullName, type PackageName, PACKAGES } from "../../src/libraries/packages.ts";
import { DenoCacheWithout } from "../support/deno_cache.ts";
import { sha512 } from "../support/package_archive.ts";
import { PackageRegistry } from "../support/package_registry.ts";
import { Sandbox } from "../support/program.ts";

const FOLDER = Deno.env.get("INFERD_NPM_ARCHIVES");
const NAME = platformPackage(Deno.build.os, Deno.build.arch) as PackageName;

/** As `npm pack` calls them. */
function archiveOf(name: string): Uint8Array<ArrayBuffer> | undefined {
  const file = `${fullName(name as PackageName).slice(1).replace("/", "-")}-${LIBRARY_VERSION}.tgz`;
  try {
    return Deno.readFileSync(`${FOLDER}/${file}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

Deno.test({
  name: "the packages on npm are those that the source names",
  ignore: FOLDER === undefined,
  async fn(): Promise<void> {
    let seen = 0;
    for (const [name, { bytes, sha512: expected }] of Object.entries(PACKAGES)) {
      const archive = archiveOf(name);
      if (archive === undefined) continue;
      assertEquals([archive.length, await sha512(archive)], [bytes, expected], name);
      seen++;
    }
    assertEquals(seen > 0, true, `"${FOLDER}" has none of them`);
  },
});

Deno.test({
  name: "inferd serve gets ready on a machine without libraries when the line is cut again and again",
  ignore: FOLDER === undefined || archiveOf(NAME) === undefined,
  async fn(): Promise<void> {
    const archive = archiveOf(NAME) as Uint8Array<ArrayBuffer>;
    const cuts = [0.3, 0.5, 0.1].map((part) => ({ cutAfter: Math.floor(archive.length * part) }));
    await using box = new Sandbox();
    await using registry = PackageRegistry.start(archive, PACKAGES[NAME].sha512, { archive: cuts });
    using cache = new DenoCacheWithout(/@node-llama-cpp/);
    Deno.writeTextFileSync(`${box.dir}/.npmrc`, `@node-llama-cpp:registry=${registry.url}`);
    Deno.writeTextFileSync(`${box.dir}/config.json`, JSON.stringify({ model: { name: "inferd-tiny-embed" } }));
    const env = { DENO_DIR: cache.dir, INFERD_CONFIG: `${box.dir}/config.json` };
    await using daemon = await box.serve(["--accelerator", "cpu"], { env });
    await daemon.stderr.has("download");
    const from = (part: number): string => `bytes=${Math.floor(archive.length * part)}-`;
    assertEquals(registry.archive.ranges.slice(0, 2), [null, from(0.3)]);
    assertEquals(registry.archive.ranges.length, 4);
    const { code, stdout } = await box.run(["embed", "a text"], { env });
    assertEquals(code, 0, stdout);
  },
});
