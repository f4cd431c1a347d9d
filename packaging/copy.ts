/**
 * A copy of the working tree in a temporary folder, with a modified `deno.json`: for checking or publishing with other
 * `links` than this checkout, or without.
 */
import { dirname, fromFileUrl, join } from "@std/path";

/** The checkout. */
export const ROOT: string = fromFileUrl(new URL("../", import.meta.url));

/** Package folders in publishing order: the others import the client. */
export const PACKAGES: readonly string[] = ["client", "packages/ai-sdk", "packages/langchain", "."];

/** The relevant part of `deno.json`. */
export interface Config extends Readonly<Record<string, unknown>> {
  readonly compilerOptions: Readonly<Record<string, unknown>>;
  readonly publish: { readonly exclude: readonly string[] };
}

/** A copy of the checkout. */
export interface Copy extends AsyncDisposable {
  readonly path: string;
}

/**
 * Copy the checkout: files that git tracks, and new files that are not ignored.
 *
 * @param change Converts `deno.json` for the copy.
 * @returns The copy; disposal removes it.
 */
export async function copyCheckout(change: (config: Config) => object): Promise<Copy> {
  const listed = await read("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
  const path = await Deno.makeTempDir({ prefix: "inferd-copy-" });
  const copy = { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
  try {
    for (const file of new Set(listed.split("\0").filter(Boolean))) {
      const target = join(path, file);
      await Deno.mkdir(dirname(target), { recursive: true });
      try {
        await Deno.copyFile(join(ROOT, file), target);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // Deleted, but still in git's index.
      }
    }
    const config: Config = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
    await Deno.writeTextFile(join(path, "deno.json"), JSON.stringify(change(config), null, 2));
    return copy;
  } catch (error) {
    await copy[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Run a program and capture its output.
 *
 * @param program Its name.
 * @param args Its arguments.
 * @param cwd The working directory.
 * @returns Its stdout.
 * @throws {Error} If it fails.
 */
export async function read(program: string, args: readonly string[], cwd = ROOT): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], cwd }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`"${program} ${args[0] ?? ""}" failed: ${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout);
}

/**
 * Run Deno with inherited output.
 *
 * @param args Its arguments.
 * @param cwd The working directory.
 * @returns Whether it succeeded.
 */
export async function deno(args: readonly string[], cwd: string): Promise<boolean> {
  return (await new Deno.Command(Deno.execPath(), { args: [...args], cwd }).spawn().status).success;
}
