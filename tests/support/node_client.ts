/** The client's sources without their types, so that a real Node can run them. */
import { dirname, join } from "@std/path";
import ts from "npm:typescript@5.9.3";

/** The version of the Node that is here; 0 where there is none. */
export async function nodeMajor(): Promise<number> {
  try {
    const { stdout } = await new Deno.Command("node", { args: ["--version"], stderr: "null" }).output();
    return Number(/^v(\d+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Put a folder's TypeScript into another as JavaScript. */
export async function transpile(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    const source = join(from, entry.name);
    if (entry.isDirectory) await transpile(source, join(to, entry.name));
    else if (entry.name.endsWith(".ts")) await transpileFile(source, join(to, entry.name));
  }
}

/** The same for one file. */
export async function transpileFile(from: string, to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  const { outputText } = ts.transpileModule(await Deno.readTextFile(from), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  await Deno.writeTextFile(to.replace(/\.ts$/, ".js"), outputText);
}
