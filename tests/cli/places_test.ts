/** Where things are when the environment says little or something odd: one clear line, and nothing in the working directory. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { maxSocketPathBytes } from "@inferd/client/paths";
import { modelBytes } from "../support/gguf_files.ts";
import { type Outcome, type ProgramOptions, Sandbox } from "../support/program.ts";

/** A box whose programs run in an empty folder, which stays empty. */
async function withEmptyFolder(work: (box: Sandbox, options: ProgramOptions) => Promise<void>): Promise<void> {
  await using box = new Sandbox();
  const cwd = `${box.dir}/here`;
  Deno.mkdirSync(cwd);
  await work(box, { cwd, bare: true });
  assertEquals([...Deno.readDirSync(cwd)], []);
}

function oneLine({ stderr }: Outcome): string {
  const lines = stderr.trimEnd().split("\n");
  assertEquals(lines.length, 1, stderr);
  return lines[0] ?? "";
}

const NEEDS_STORE = [["models"], ["gc"], ["rm", "x"], ["pull", "https://models.example/x.gguf"], ["import", "/x.gguf"]];
for (const args of NEEDS_STORE) {
  Deno.test(`inferd ${args[0]} says what to set when nothing tells where the store is`, () =>
    withEmptyFolder(async (box, options) => {
      for (const env of [{}, { HOME: "" }]) {
        const outcome = await box.run(args, { ...options, env });
        assertEquals([outcome.code, outcome.stdout], [2, ""], outcome.stderr);
        assertStringIncludes(
          oneLine(outcome),
          "inferd: There is no folder for the model store: neither HOME nor MODELS_HOME is set",
        );
      }
    }));
}

const ALL = [
  ["serve"],
  ["status"],
  ["watch"],
  ["generate", "x"],
  ["embed", "x"],
  ["models"],
  ["pull", "https://models.example/x.gguf"],
  ["import", "/x.gguf"],
  ["doctor"],
  ["permissions"],
  ["config", "print"],
];
for (const args of ALL) {
  Deno.test(`inferd ${args.join(" ")} refuses a home that depends on the working directory`, () =>
    withEmptyFolder(async (box, options) => {
      for (const name of ["HOME", "XDG_RUNTIME_DIR"]) {
        const env = { HOME: box.dir, [name]: "rel/dir" };
        const outcome = await box.run(args, { ...options, env });
        const message = `${name} must be an absolute path, got "rel/dir"`;
        assertStringIncludes(args[0] === "doctor" ? outcome.stdout : oneLine(outcome), message);
        assertEquals(outcome.code, args[0] === "doctor" ? 1 : 2, outcome.stderr);
      }
    }));
}

Deno.test("inferd doctor says what is not looked for when there is no home", () =>
  withEmptyFolder(async (box, options) => {
    const { stdout } = await box.run(["doctor", "--backend", "mock", "--lock", `${box.dir}/lock`], options);
    assertStringIncludes(stdout, "[ ok ] config: HOME is not set, so no file is read; defaults apply");
    assertStringIncludes(stdout, "[warn] model store: Neither HOME nor MODELS_HOME is set");
    assert(!stdout.includes("undefined"), stdout);
  }));

Deno.test("a store that was named serves without a home, also a model by its name", () =>
  withEmptyFolder(async (box, options) => {
    const env = { MODELS_HOME: `${box.dir}/models`, XDG_RUNTIME_DIR: box.dir };
    Deno.writeFileSync(`${box.dir}/mine.gguf`, modelBytes(1000));
    const imported = await box.run(["import", `${box.dir}/mine.gguf`], { ...options, env });
    assertEquals(imported.code, 0, imported.stderr);
    const printed = await box.run(["config", "print", "--json", "--model", "mine"], { ...options, env });
    assertStringIncludes(JSON.parse(printed.stdout).values["backends[0].model.path"].value, `${box.dir}/models/blobs`);
  }));

/** A daemon that has to refuse to start; one that does start is a failure, and is ended. */
async function refusedServe(box: Sandbox, flags: readonly string[], options: ProgramOptions = {}): Promise<Outcome> {
  await using daemon = box.spawn(["serve", ...flags], options);
  const started = daemon.stderr.has("inferd is ready").then(() => {
    throw new Error("It has started");
  });
  // What never happens is not waited for.
  started.catch(() => {});
  return await Promise.race([daemon.outcome, started]);
}

/** A folder of exactly so many bytes. */
function folderOf(bytes: number, below: string): string {
  const path = `${below}/${"x".repeat(bytes - below.length - 1)}`;
  Deno.mkdirSync(path, { recursive: true });
  return path;
}

/** `$HOME/.inferd/run/infer.rerank.sock`, which has the longest name. */
const LONGEST_HOME = maxSocketPathBytes(Deno.build.os) - "/.inferd/run/infer.rerank.sock".length;

Deno.test("a home in which not every socket fits is refused before anything is loaded, by daemon and clients", async () => {
  await using box = new Sandbox();
  const fits = folderOf(LONGEST_HOME, box.dir);
  const env = { HOME: fits, XDG_RUNTIME_DIR: "" };
  {
    await using daemon = box.spawn(["serve", "--backend", "mock"], { env });
    await daemon.stderr.has("inferd is ready");
    assertEquals((await box.run(["status"], { env })).code, 0);
    daemon.kill("SIGTERM");
    await daemon.outcome;
  }
  for (const more of [1, 7]) {
    const home = folderOf(LONGEST_HOME + more, box.dir);
    const env = { HOME: home, XDG_RUNTIME_DIR: "" };
    const refused = await refusedServe(box, [], { env });
    const bytes = maxSocketPathBytes(Deno.build.os);
    assertEquals(refused.code, 1);
    assertEquals(
      oneLine(refused),
      `inferd: Cannot bind "${home}/.inferd/run/infer.rerank.sock": a unix socket's path may have ${bytes} bytes, this ` +
        `one has ${bytes + more}; set XDG_RUNTIME_DIR to a shorter folder, or --rerank-addr to a shorter path`,
    );
    for (const args of [["status"], ["generate", "x"], ["embed", "x"]]) {
      const outcome = await box.run(args, { env });
      assertEquals(outcome.code, 2, outcome.stderr);
      const line = oneLine(outcome);
      assertStringIncludes(line, `at most ${bytes} fit; set XDG_RUNTIME_DIR to a shorter folder`);
      assert(!line.includes("starts a daemon"), line);
    }
    const report = await box.run(["doctor", "--backend", "mock"], { env });
    assertStringIncludes(report.stdout, `infer.rerank.sock": a unix socket's path may have ${bytes} bytes`);
  }
});

for (const flag of ["--uds", "--v2-addr", "--embed-addr", "--rerank-addr", "--rpc-addr", "--admin-addr"]) {
  Deno.test(`${flag} with a path that is too long is refused before anything is loaded`, async () => {
    await using box = new Sandbox();
    const long = `${box.dir}/${"é".repeat(60)}`;
    const outcome = await refusedServe(box, [flag, long]);
    assertEquals(outcome.code, 1);
    assertStringIncludes(oneLine(outcome), `Cannot bind "${long}": a unix socket's path may have`);
    const follows = ["--v2-addr", "--embed-addr", "--rerank-addr"].includes(flag);
    assertStringIncludes(oneLine(outcome), `; set ${follows ? "--uds or " : ""}${flag} to a shorter path`);
  });
}

Deno.test("a long folder of --uds is not blamed on the runtime directory", async () => {
  await using box = new Sandbox();
  const folder = folderOf(maxSocketPathBytes(Deno.build.os) - "/infer.sock".length, box.dir);
  const outcome = await refusedServe(box, ["--uds", `${folder}/infer.sock`]);
  assertEquals(outcome.code, 1);
  assertStringIncludes(oneLine(outcome), "; set --uds or --rerank-addr to a shorter path");
});
