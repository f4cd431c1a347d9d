/** What Deno fetches before the program's first line runs: all that its modules name, whether it is needed or not. */
import { assert, assertEquals } from "@std/assert";
import { LIBRARY_VERSION } from "../../../src/libraries/library_files.ts";

const MAIN = new URL("../../../main.ts", import.meta.url);
const WRAPPERS = new URL("../../../src/engine/chat/render/chat_wrappers.ts", import.meta.url);

interface ModuleGraph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
  }[];
  readonly npmPackages: Readonly<Record<string, unknown>>;
}

async function graph(): Promise<ModuleGraph> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", MAIN.href] }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("the program does not load the HTTP bridge until it is asked for: the monitor would keep it in memory", async () => {
  const { modules } = await graph();
  const importers = (name: string): string[] =>
    modules.filter(({ dependencies = [] }) => dependencies.some(({ code }) => code?.specifier?.endsWith(name)))
      .map(({ specifier }) => specifier);
  assertEquals(importers("/src/cli/http.ts"), [new URL("src/cli/commands.ts", MAIN).href]);
  assertEquals(importers("/src/http/server.ts"), []);
});

Deno.test("the program names neither node-llama-cpp nor its packages, not even for types", async () => {
  const { modules, npmPackages } = await graph();
  const named = [...modules.map(({ specifier }) => specifier), ...Object.keys(npmPackages)];
  assert(named.some((name) => name.includes("zod")), "no package is named, which cannot be");
  assertEquals(named.filter((name) => name === WRAPPERS.href || name.includes("node-llama-cpp")), []);
});

Deno.test("deno.json names no package of native libraries, and no lock file: Deno fetches all that they name", async () => {
  const config = await Deno.readTextFile(new URL("deno.json", new URL("../../../", import.meta.url)));
  assertEquals(config.match(/npm:@?node-llama-cpp[^"]*/g), ["npm:node-llama-cpp"]); // allowScripts
  assertEquals((JSON.parse(config) as { lock: unknown }).lock, false);
});

Deno.test("node-llama-cpp is of the release whose libraries are used", async () => {
  const source = await Deno.readTextFile(WRAPPERS);
  assert(source.includes(`"npm:node-llama-cpp@${LIBRARY_VERSION}"`), source);
});
