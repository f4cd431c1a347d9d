/** What a user sees of a first start whose download takes its time: on the terminal, in `status`, in `watch`. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { platformPackage } from "../../src/libraries/library_files.ts";
import { type PackageName, PACKAGES } from "../../src/libraries/packages.ts";
import { DenoCacheWithout } from "../support/deno_cache.ts";
import { PackageRegistry } from "../support/package_registry.ts";
import { Sandbox } from "../support/program.ts";

const NAME = platformPackage(Deno.build.os, Deno.build.arch) as PackageName;
const { bytes, sha512 } = PACKAGES[NAME];
const HALF = bytes >> 1;

Deno.test("terminal, status and watch say how far a first start is, and Ctrl-C ends it", async () => {
  await using box = new Sandbox();
  // As long as the package; nobody comes to its end.
  await using registry = PackageRegistry.start(new Uint8Array(bytes), sha512, { archive: [{ stallAfter: HALF }] });
  using cache = new DenoCacheWithout(/@node-llama-cpp/);
  Deno.writeTextFileSync(`${box.dir}/.npmrc`, `@node-llama-cpp:registry=${registry.url}`);
  const env = { DENO_DIR: cache.dir };
  await using daemon = box.spawn(["serve", "--accelerator", "cpu"], { env });
  await daemon.stderr.has(
    `percent=0 downloaded_bytes=0 total_bytes=${bytes} source=${registry.url}@node-llama-cpp/${NAME}`,
  );
  for await (const event of box.admin.watch()) {
    if (event.status === "loading_model" && event.phase === "download" && event.downloadedBytes >= HALF - 1) break;
  }
  const status = await box.run(["status"], { env });
  assertEquals(status.code, 1);
  assertMatch(status.stdout, /^state {4}loading_model \(download, (49|50) %, [\d.]+ MiB of [\d.]+ MiB\)$/m);
  await using watch = box.spawn(["watch"], { env });
  const [line] = await watch.stdout.match(/loading_model (49|50) % {2}[\d.]+ MiB of [\d.]+ MiB {2}Downloading .*/);
  watch.kill("SIGINT");
  assertEquals((await watch.outcome).code, 0);
  assertStringIncludes(line, `${registry.url}@node-llama-cpp/${NAME}`);
  daemon.kill("SIGINT");
  assertEquals((await daemon.outcome).code, 0);
});
