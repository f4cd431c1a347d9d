/**
 * Installs the command `inferd`, which runs this checkout, where `deno install -g` would, which does not support a
 * `deno.json` with `links`. `deno uninstall -g inferd` removes either.
 *
 * usage: deno task install [--force]
 */
import { fromFileUrl, join } from "@std/path";

const MARK = '# Written by inferd\'s "deno task install"';

const home = Deno.env.get("HOME");
const root = Deno.env.get("DENO_INSTALL_ROOT") || (home ? join(home, ".deno") : undefined);
if (root === undefined) fail("Cannot tell where to install: neither HOME nor DENO_INSTALL_ROOT is set");
const bin = join(root, "bin");
const file = join(bin, "inferd");

const existing = await Deno.readTextFile(file).catch((error) => {
  if (error instanceof Deno.errors.NotFound) return undefined;
  throw error;
});
if (existing !== undefined && !existing.includes(MARK) && !Deno.args.includes("--force")) {
  fail(`Cannot write "${file}": something else is there. Remove it, or pass --force`);
}

const path = (Deno.env.get("PATH") ?? "").split(":");
const main = fromFileUrl(new URL("../main.ts", import.meta.url));
await Deno.mkdir(bin, { recursive: true });
// npx says where it was started as a task does, so the command says itself how it is typed.
const calledAs = "export INFERD_CALLED_AS=inferd";
await Deno.writeTextFile(
  file,
  `#!/bin/sh\n${MARK}\n${calledAs}\nexec ${denoCommand()} run -A ${quote(main)} "$@"\n`,
);
await Deno.chmod(file, 0o755);
console.log(`Wrote "${file}"`);
if (!path.includes(bin)) {
  console.log(`Your PATH does not have it yet: export PATH="${bin}:$PATH"`);
}

/** A Deno executable that survives updates: neither in npx's cache nor in a version-specific folder. */
function denoCommand(): string {
  const running = Deno.execPath();
  if (running.split("/").includes("_npx")) return "npx --yes deno";
  return path.some((folder) => exists(join(folder, "deno"))) ? "deno" : quote(running);
}

function exists(file: string): boolean {
  try {
    return Deno.statSync(file).isFile;
  } catch {
    return false; // It does not exist, or may not be read.
  }
}

/** Quote for a shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fail(message: string): never {
  console.error(`inferd: ${message}`);
  Deno.exit(1);
}
