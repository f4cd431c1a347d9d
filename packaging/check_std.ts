/**
 * Checks types, packages and tests against the real `@std/*` packages, given their source. This checkout has stand-ins
 * (`links/`), which cannot reveal differences.
 *
 * usage: INFERD_STD_DIR=FOLDER deno task std [TESTS...], FOLDER with a checkout of denoland/std
 */
import { dirname, join, resolve } from "@std/path";
import { type Config, copyCheckout, deno, PACKAGES, read } from "./copy.ts";

/** Tests that use the packages' behaviour. */
const TESTS = ["tests/unit", "tests/client"];

/** `@std/log` is discontinued and was removed from the repository. */
const LOG = "log";

const given = Deno.env.get("INFERD_STD_DIR") ?? "";
if (given === "") {
  console.error("Not checked against the real @std packages: INFERD_STD_DIR names no checkout of denoland/std");
  Deno.exit();
}
const packages = await packagesIn(given);
if (!packages.has("@std/assert")) {
  console.error(`Cannot use INFERD_STD_DIR ${JSON.stringify(given)}: it is no checkout of denoland/std`);
  Deno.exit(1);
}
const log = await Deno.makeTempDir({ prefix: "inferd-std-log-" });
try {
  if (!packages.has("@std/log")) packages.set("@std/log", await lastLog(given, log) ?? standIn());
  await using copy = await copyCheckout((config) => linked(config, packages));
  const steps = [
    { args: ["check", "--doc"], folder: "." },
    ...PACKAGES.map((folder) => ({ args: ["publish", "--dry-run"], folder })),
    { args: ["test", "-A", "--trace-leaks", ...Deno.args.length > 0 ? Deno.args : TESTS], folder: "." },
  ];
  for (const { args, folder } of steps) {
    if (await deno(args, join(copy.path, folder))) continue;
    Deno.exitCode = 1;
    break;
  }
} finally {
  await Deno.remove(log, { recursive: true });
}

/** Package folders in a checkout, by name; empty if there is no such folder. */
async function packagesIn(checkout: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const root = resolve(checkout);
  try {
    for await (const { name } of Deno.readDir(root)) {
      const folder = join(root, name);
      const config = await Deno.readTextFile(join(folder, "deno.json")).catch(() => "{}");
      const { name: packageName } = JSON.parse(config) as { name?: string };
      if (packageName !== undefined) found.set(packageName, folder);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) throw error;
  }
  return found;
}

/** `@std/log` as of its removal; undefined without the repository's history. */
async function lastLog(checkout: string, target: string): Promise<string | undefined> {
  try {
    const removed = (await read("git", ["rev-list", "-1", "HEAD", "--", LOG], checkout)).trim();
    const files = await read("git", ["ls-tree", "-r", "--name-only", `${removed}^`, `${LOG}/`], checkout);
    for (const file of files.split("\n").filter(Boolean)) {
      await Deno.mkdir(dirname(join(target, file)), { recursive: true });
      await Deno.writeTextFile(join(target, file), await read("git", ["show", `${removed}^:${file}`], checkout));
    }
    return join(target, LOG);
  } catch (error) {
    console.error(`The checkout's history does not give @std/log: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

function standIn(): string {
  console.error("Not checked against the real @std/log: the checkout does not have it, the stand-in takes its place");
  return "./links/std-log";
}

/**
 * Replaces the stand-ins by the packages. They are type-checked too, and do not satisfy one of our compiler options.
 */
function linked(config: Config, packages: ReadonlyMap<string, string>): object {
  return {
    ...config,
    links: [...packages.values()],
    compilerOptions: { ...config.compilerOptions, noImplicitReturns: false },
  };
}
