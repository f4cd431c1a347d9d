/** `deno task publish` against a registry: what is uploaded, and that nothing is before everything is in order. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { basename, dirname, join } from "@std/path";
import { ROOT } from "../../packaging/copy.ts";
import { JsrRegistry, makeDenoDir } from "../support/jsr_registry.ts";

interface Outcome {
  readonly success: boolean;
  readonly output: string;
}

/** The registry, with stand-ins in the place of `@std/*`, and Deno with nothing of another. */
class Publishing implements AsyncDisposable {
  readonly registry = new JsrRegistry();
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    for (const { name } of Deno.readDirSync(join(ROOT, "links"))) this.registry.addFolder(join(ROOT, "links", name));
  }

  static async start(): Promise<Publishing> {
    const folder = await Deno.makeTempDir();
    await makeDenoDir(join(folder, "deno"));
    return new Publishing(folder);
  }

  /** What `name` is in this registry. */
  replace(name: string, path: string, change: (text: string) => string): void {
    const folder = join(this.#folder, name);
    Deno.mkdirSync(folder);
    for (const [file, bytes] of this.registry.files(`@std/${name}`)) Deno.writeFileSync(join(folder, file), bytes);
    Deno.writeTextFileSync(join(folder, path), change(Deno.readTextFileSync(join(folder, path))));
    this.registry.addFolder(folder);
  }

  async write(file: string, text: string): Promise<void> {
    await Deno.writeTextFile(join(this.#folder, file), text);
  }

  deno(...args: string[]): Promise<Outcome> {
    return this.#run(Deno.execPath(), args);
  }

  /** A program that has been installed. */
  run(file: string, ...args: string[]): Promise<Outcome> {
    return this.#run(join(this.#folder, file), args);
  }

  has(file: string): boolean {
    return Array.from(Deno.readDirSync(join(this.#folder, dirname(file)))).some(({ name }) => name === basename(file));
  }

  async #run(command: string, args: string[]): Promise<Outcome> {
    const { success, stdout, stderr } = await new Deno.Command(command, {
      args,
      cwd: this.#folder,
      env: {
        HOME: this.#folder,
        // What is installed runs the Deno of the path.
        PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
        JSR_URL: this.registry.url,
        DENO_DIR: join(this.#folder, "deno"),
        NO_COLOR: "1",
      },
    }).output();
    const decoder = new TextDecoder();
    return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
  }

  publish(...args: string[]): Promise<Outcome> {
    return this.deno("run", "-A", join(ROOT, "packaging/publish.ts"), ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

Deno.test("publish uploads the client, then what imports it, and client and daemon run from the registry", async () => {
  await using publishing = await Publishing.start();
  const { registry } = publishing;
  const published = await publishing.publish("--token", "a-token");
  assertEquals(published.success, true, published.output);
  assertEquals(registry.uploads, [
    "@inferd/client@0.1.0",
    "@inferd/ai-sdk@0.1.0",
    "@inferd/langchain@0.1.0",
    "@inferd/daemon@0.1.0",
  ]);

  const files = [...registry.files("@inferd/daemon").keys()];
  const folders = new Set(files.map((file) => file.split("/").slice(1, -1)[0] ?? "."));
  assertEquals([...folders].sort(), [".", "docs", "models", "src"]);
  assertEquals(files.filter((file) => /^\/[^/]+$/.test(file)).sort(), [
    "/CHANGES.md",
    "/LICENSE",
    "/README.md",
    "/deno.json",
    "/main.ts",
  ]);

  const version = await publishing.deno("run", "-A", "jsr:@inferd/daemon", "--version");
  assertEquals(version.success, true, version.output);
  assertStringIncludes(version.output, "inferd 0.1.0");

  // As README says; in a home that has nothing.
  const installed = await publishing.deno("install", "-g", "-A", "-n", "inferd", "jsr:@inferd/daemon");
  assertEquals(installed.success, true, installed.output);
  const command = await publishing.run(".deno/bin/inferd", "--version");
  assertEquals(command.success, true, command.output);
  assertStringIncludes(command.output, "inferd 0.1.0");
  const again = await publishing.deno("install", "-g", "-f", "-r", "-A", "-n", "inferd", "jsr:@inferd/daemon");
  assertEquals(again.success, true, again.output);
  const uninstalled = await publishing.deno("uninstall", "-g", "inferd");
  assertEquals(uninstalled.success, true, uninstalled.output);
  assertEquals(publishing.has(".deno/bin/inferd"), false);

  await publishing.write(
    "app.ts",
    `import { type Client, connect } from "jsr:@inferd/client";
    export const client: Client = await connect({ timeoutMs: 0 });`,
  );
  const app = await publishing.deno("check", "app.ts");
  assertEquals(app.success, true, app.output);
});

Deno.test("publish uploads nothing when the second package does not fit the registry's packages", async () => {
  await using publishing = await Publishing.start();
  publishing.replace("cli", "parse_args.d.ts", (text) => text.replace("args: readonly string[],", "args: string[],"));
  const published = await publishing.publish("--token", "a-token");
  assertEquals(published.success, false, published.output);
  assertStringIncludes(published.output, "src/config/flags.ts");
  assertEquals(publishing.registry.uploads, []);
});
