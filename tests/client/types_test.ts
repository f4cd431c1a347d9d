/** The client's types, seen by the TypeScript compiler alone: no Deno, the DOM's library and Node's types. */
import { assertEquals } from "@std/assert";
import { dirname, fromFileUrl } from "@std/path";
import ts from "npm:typescript@5.9.3";
import { Scratch } from "./support.ts";

const CLIENT = fromFileUrl(new URL("../../client", import.meta.url));

const CALLER = `
import { admin, connect, InferdError, type GenerationEvent } from "./client/mod.ts";

export async function main(signal: AbortSignal): Promise<string> {
  await using client = await connect({ timeoutMs: 1_000, signal });
  for await (const event of client.generate({ messages: [{ role: "user", content: "hi" }], topK: 1 }, { signal })) {
    const narrowed: GenerationEvent = event;
    if (narrowed.type === "done") console.log(narrowed.usage.promptTokens);
  }
  for await (const event of admin().watch()) {
    if (event.status === "loading_model" && event.phase === "download") console.log(event.totalBytes ?? 0);
  }
  try {
    return await client.generate("hi").text();
  } catch (error) {
    return error instanceof InferdError && error.retryable ? "later" : "never";
  }
}

// @ts-expect-error A generation is no promise.
export const wrong: Promise<unknown> = (await connect()).generate("hi");
// @ts-expect-error There is no Deno here.
export const deno = Deno;
`;

Deno.test("the client's types need the DOM library and Node's types only", async () => {
  await using scratch = new Scratch();
  await link(CLIENT, scratch.path("client"));
  for (const [name, version] of [["@types/node", "20.19.25"], ["undici-types", "6.21.0"]]) {
    const manifest = `npm:${name}@${version}/package.json`;
    // Installs it. Not known before the program runs: imported for good, its globals would count in every test.
    await import(manifest, { with: { type: "json" } });
    await link(dirname(fromFileUrl(import.meta.resolve(manifest))), scratch.path(`node_modules/${name}`));
  }
  await Deno.writeTextFile(scratch.path("caller.ts"), CALLER);
  const inferred = "tests/client/inferred_types.ts";
  await Deno.mkdir(scratch.path("tests/client"), { recursive: true });
  await Deno.copyFile(new URL("./inferred_types.ts", import.meta.url), scratch.path(inferred));
  const files = ["caller.ts", inferred, "client/protocol/mod.ts"];
  const program = ts.createProgram(files.map((file) => scratch.path(file)), {
    noEmit: true,
    skipLibCheck: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    allowImportingTsExtensions: true,
    preserveSymlinks: true,
    types: ["node"],
    typeRoots: [scratch.path("node_modules/@types")],
  });
  const found = ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => scratch.dir,
    getNewLine: () => "\n",
  });
  assertEquals(found, "");
});

async function link(folder: string, at: string): Promise<void> {
  await Deno.mkdir(dirname(at), { recursive: true });
  await Deno.symlink(folder, at);
}
