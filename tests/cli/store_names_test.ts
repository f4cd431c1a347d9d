/** Names, tokens, split models and models by name, as a user meets them in the commands. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { modelHash, shardFileName } from "../../src/models/file/shards.ts";
import { modelBytes, splitModel } from "../support/gguf_files.ts";
import { ModelServer } from "../support/model_server.ts";
import { sha256Of } from "../support/model_store.ts";
import { MAIN, Output, type ProgramOptions, Sandbox } from "../support/program.ts";
import { hasTerminal } from "../support/terminal.ts";
import { eventually } from "../support/waiting.ts";

const WHOLE = Deno.readFileSync(BUILT_INS["inferd-tiny"].url);
const [ONE, TWO] = [modelBytes(300_000, 1), modelBytes(300_000, 2)] as const;
const [FIRST, SECOND] = await Promise.all([sha256Of(ONE), sha256Of(TWO)]);

/** A box with a store, and a Hugging Face of its own. */
async function withHub(
  content: ConstructorParameters<typeof ModelServer>[0],
  work: (box: Sandbox, server: ModelServer, options: ProgramOptions & { env: Record<string, string> }) => Promise<void>,
): Promise<void> {
  await using box = new Sandbox();
  await using server = new ModelServer(content);
  const env = { MODELS_HOME: `${box.dir}/models`, HF_ENDPOINT: new URL(server.url).origin };
  await work(box, server, { env });
}

async function listed(
  box: Sandbox,
  options: ProgramOptions,
): Promise<{ models: { name: string; sha256: string }[]; loose: unknown[] }> {
  return JSON.parse((await box.run(["models", "--json"], options)).stdout);
}

Deno.test("inferd pull takes no name from another model unless told, and gc says what it keeps and removes", () =>
  withHub(ONE, async (box, server, options) => {
    const pull = (owner: string, ...flags: string[]): ReturnType<Sandbox["run"]> =>
      box.run(["pull", `hf:${owner}/repo/Small-Q4.gguf`, ...flags], options);
    assertEquals((await pull("owner-a")).code, 0);
    server.next({ content: TWO });
    const refused = await pull("owner-b");
    assertEquals([refused.code, refused.stdout], [1, ""]);
    assertStringIncludes(
      refused.stderr,
      `"Small-Q4" refers to another model (sha256:${FIRST.slice(0, 12)}…, from owner-a/repo`,
    );
    assertStringIncludes(refused.stderr, "choose another name (--name NAME), or reassign this one (--replace)");
    const requests = server.requests.length;
    const named = await pull("owner-b", "--name", "second");
    assertEquals(
      [named.stdout, server.requests.length],
      [`second  293 kiB  sha256:${SECOND}\n`, requests],
      named.stderr,
    );
    assertEquals((await box.run(["rm", "second"], options)).stdout, "Removed second, 293 kiB freed\n");

    assertEquals((await pull("owner-b", "--replace")).code, 0);
    assertEquals((await listed(box, options)).models.map(({ name, sha256 }) => [name, sha256]), [["Small-Q4", SECOND]]);
    assertMatch(
      (await box.run(["models"], options)).stdout,
      /\(no name\).*"inferd gc" removes it {2}\(was "Small-Q4" until .* UTC\)/,
    );
    const kept = await box.run(["gc"], options);
    assertMatch(
      kept.stdout,
      /^kept {2}293 kiB {2}.*\(was "Small-Q4" until .* UTC\)\n.*"inferd gc --all" removes them now\n0 B freed\n$/,
    );
    const gone = await box.run(["gc", "--all"], options);
    assertMatch(gone.stdout, /^blob {2}293 kiB {2}.*\(was "Small-Q4" until .* UTC\)\n293 kiB freed\n$/);
  }));

Deno.test("inferd import takes no name from another model, however it is spelled", () =>
  withHub(ONE, async (box, _server, options) => {
    for (const [folder, content] of [["x", ONE], ["y", TWO]] as const) {
      Deno.mkdirSync(`${box.dir}/${folder}`);
      for (const name of ["my", "a b", "a+b", "MY"]) Deno.writeFileSync(`${box.dir}/${folder}/${name}.gguf`, content);
    }
    for (const path of ["x/my", "x/a b"]) {
      assertEquals((await box.run(["import", `${box.dir}/${path}.gguf`], options)).code, 0);
    }
    for (const path of ["y/my", "y/a+b", "y/MY"]) {
      const { code, stderr } = await box.run(["import", `${box.dir}/${path}.gguf`], options);
      assertEquals(code, 1, path);
      assertStringIncludes(stderr, "refers to another model");
    }
    const replaced = await box.run(["import", `${box.dir}/y/MY.gguf`, "--replace", "--json"], options);
    assertEquals(JSON.parse(replaced.stdout).name, "my");
  }));

Deno.test({
  name: "inferd pull and import ask on a terminal whether a name may go to another model",
  ignore: !await hasTerminal(),
  fn: () =>
    withHub(ONE, async (box, _server, { env }) => {
      const path = `${box.dir}/my.gguf`;
      Deno.writeFileSync(path, ONE);
      await box.run(["import", path], { env });
      Deno.removeSync(path);
      Deno.writeFileSync(path, TWO);
      for (const [answer, code, sha256] of [["n", 1, FIRST], ["", 1, FIRST], ["y", 0, SECOND]] as const) {
        const child = new Deno.Command("script", {
          args: [
            "--quiet",
            "--return",
            "--command",
            `${Deno.execPath()} run --no-check -A ${MAIN} import ${path}`,
            "/dev/null",
          ],
          env: { ...box.env, ...env, TERM: "xterm" },
          stdin: "piped",
          stdout: "piped",
          stderr: "null",
        }).spawn();
        const screen = new Output(child.stdout);
        const keys = child.stdin.getWriter();
        try {
          await screen.has("Replace it? [y/N] ");
          await keys.write(new TextEncoder().encode(`${answer}\r`));
          assertEquals((await child.status).code, code, answer);
        } finally {
          await child.status;
          await keys.close().catch(() => {});
        }
        const text = await screen.all;
        assertStringIncludes(
          text,
          `"my" refers to another model (sha256:${FIRST.slice(0, 12)}…, from file/my.gguf). Replace it?`,
        );
        assertEquals((await listed(box, { env })).models.map(({ sha256 }) => sha256), [sha256]);
      }
    }),
});

Deno.test("inferd pull tells Hugging Face who asks, from a variable or a login, and shows it nowhere", () =>
  withHub(ONE, async (box, server, { env }) => {
    const canary = "hf_canaryCANARYcanary";
    Deno.mkdirSync(`${box.dir}/.cache/huggingface`, { recursive: true });
    Deno.writeTextFileSync(`${box.dir}/.cache/huggingface/token`, `${canary}2\n`);
    const outputs: string[] = [];
    const pull = async (more: Record<string, string>, ...flags: string[]): Promise<string> => {
      const { stdout, stderr } = await box.run(["pull", "hf:o/r/m.gguf", ...flags], { env: { ...env, ...more } });
      outputs.push(stdout, stderr);
      return stderr;
    };
    server.next({ status: 401 }, { status: 403 }, { status: 401 });
    assertStringIncludes(
      await pull({ HF_TOKEN: canary }),
      "it does not accept the token from HF_TOKEN; create another one at",
    );
    assertStringIncludes(await pull({}), `the token from "${box.dir}/.cache/huggingface/token" has no access to it`);
    assertStringIncludes(
      await pull({}, "--header", `Authorization: Basic ${canary}`, "--header", "X-Team: a"),
      "it does not accept the given --header",
    );
    await pull({ HF_TOKEN: "", HUGGING_FACE_HUB_TOKEN: `${canary}3` });
    assertEquals(server.requests.map(({ headers }) => headers.get("authorization")), [
      `Bearer ${canary}`,
      `Bearer ${canary}2`,
      `Basic ${canary}`,
      `Bearer ${canary}3`,
    ]);
    assertEquals(server.requests[2]?.headers.get("x-team"), "a");
    for (const text of outputs) assert(!text.includes("canary"), text);
    for (
      const [value, message] of [["two words", "must be a single word"], ["a\nb", "must be a single word"]] as const
    ) {
      const stderr = await pull({ HF_TOKEN: value });
      assertStringIncludes(stderr, message);
      assert(!stderr.includes(value), stderr);
    }
    const wrong = await pull({}, "--header", canary);
    assertStringIncludes(wrong, "A header must be 'Name: value'");
    assert(!wrong.includes(canary), wrong);
  }));

const PARTS = await splitModel(WHOLE, 3);
const NAMES = [1, 2, 3].map((index) => shardFileName("tiny", index, 3));
const SET = await modelHash(await Promise.all(PARTS.map(sha256Of)));

Deno.test("a split model is pulled, listed, checked and served by its name, and by exact permissions", () =>
  withHub(Object.fromEntries(PARTS.map((part, index) => [NAMES[index], part])), async (box, _server, { env }) => {
    const pulled = await box.run(["pull", `hf:o/r/sub/${NAMES[0]}`, "--sha256", SET], { env });
    assertEquals(pulled.stdout, `tiny  5.46 MiB  sha256:${SET}\n`, pulled.stderr);
    assertStringIncludes((await box.run(["models"], { env })).stdout, `sha256:${SET.slice(0, 12)}  3 files\n`);
    const config = `${box.dir}/config.json`;
    for (const model of [{ name: "tiny" }, { name: "tiny", sha256: SET }]) {
      Deno.writeTextFileSync(config, JSON.stringify({ model, n_ctx: 256 }));
      const options = { env: { ...env, INFERD_CONFIG: config } };
      const report = await box.run(["doctor"], options);
      assertMatch(report.stdout, /\[ ok \] models: .*3 files, 5729440 bytes, SHA-256 .* matches/);
      const permissions = await box.exactPermissions(options);
      await using daemon = await box.serve([], { ...options, permissions });
      const asked = ["generate", "--temperature", "0", "What is the capital of France?"];
      assertEquals((await box.run(asked, options)).stdout, "Paris.\n");
      assertMatch((await box.run(["models"], options)).stdout, /3 files, in use/);
      daemon.kill("SIGTERM");
      await daemon.outcome;
    }
  }));

Deno.test("a model is served by the name it has in the store, or that it has by itself, as a flag and in the file", async () => {
  await using box = new Sandbox();
  const env = { MODELS_HOME: `${box.dir}/models` };
  const path = `${box.dir}/mine.gguf`;
  Deno.writeFileSync(path, WHOLE);
  await box.run(["import", path, "--name", "my-model"], { env });
  const config = `${box.dir}/config.json`;
  Deno.writeTextFileSync(config, JSON.stringify({ model: { name: "my-model" } }));
  const cases: [string[], Record<string, string>, string][] = [
    [["--model", "my-model"], {}, "my-model"],
    [["--model", "inferd-tiny"], {}, "inferd-tiny"],
    [[], { INFERD_MODEL_PATH: "my-model" }, "my-model"],
    [[], { INFERD_CONFIG: config }, "my-model"],
  ];
  for (const [flags, more, model] of cases) {
    const options = { env: { ...env, ...more } };
    const permissions = (await box.run(["permissions", "serve", ...flags], options)).stdout.trim().split(" ");
    await using daemon = await box.serve(flags, { ...options, permissions });
    assertStringIncludes((await box.run(["status"], options)).stdout, `model    ${model}\n`);
    daemon.kill("SIGTERM");
    await daemon.outcome;
  }
  // What is wrong with a name does not keep from mending it.
  Deno.writeTextFileSync(config, JSON.stringify({ model: { name: "my-modle" } }));
  const options = { env: { ...env, INFERD_CONFIG: config } };
  const permissions = await box.exactPermissions(options);
  const refused = await box.run(["serve"], { ...options, permissions });
  assertEquals(refused.code, 1);
  assertStringIncludes(
    refused.stderr,
    `There is no model "my-modle" in the store "${box.dir}/models": did you mean "my-model"?`,
  );
  assertMatch((await box.run(["doctor"], options)).stdout, /\[FAIL\] models: .*There is no model "my-modle"/);
  assertEquals((await box.run(["import", path, "--name", "my-modle"], options)).code, 0);
  assertMatch((await box.run(["doctor"], options)).stdout, /\[ ok \] models: /);
});

Deno.test("inferd doctor and import say what is missing of a file that is cut", async () => {
  await using box = new Sandbox();
  const env = { MODELS_HOME: `${box.dir}/models` };
  const path = `${box.dir}/half.gguf`;
  Deno.writeFileSync(path, WHOLE.subarray(0, 4_000_000));
  const cut = `it is truncated: 4000000 of its ${WHOLE.length} bytes are there`;
  const imported = await box.run(["import", path], { env });
  assertEquals([imported.code, imported.stderr], [1, `inferd: Cannot import "${path}": ${cut}\n`]);
  assertMatch((await box.run(["doctor", "--model", path], { env })).stdout, new RegExp(`\\[FAIL\\] models: .*${cut}`));
  const served = await box.run(["serve", "--model", path], { env });
  assertEquals(served.code, 1);
  assertStringIncludes(served.stderr, cut);
});

Deno.test("inferd pull gets a model of the store again from where it is, and doctor says how", () =>
  withHub(ONE, async (box, server, options) => {
    await box.run(["pull", "hf:o/r/sub/m.gguf@v1", "--name", "mine"], options);
    const blob = `${box.dir}/models/blobs/sha256/${FIRST.slice(0, 2)}/${FIRST}/data`;
    Deno.removeSync(blob);
    const report = await box.run(["doctor", "--backend", "mock"], options);
    assertStringIncludes(report.stdout, '"inferd rm mine" removes it, "inferd pull mine" downloads it again');
    assertEquals((await box.run(["pull", "mine"], options)).stdout, `mine  293 kiB  sha256:${FIRST}\n`);
    assertEquals(server.requests.map(({ path }) => path), Array(2).fill("/o/r/resolve/v1/sub/m.gguf"));
    Deno.writeFileSync(`${box.dir}/file.gguf`, TWO);
    await box.run(["import", `${box.dir}/file.gguf`], options);
    const { code, stderr } = await box.run(["pull", "file"], options);
    assertEquals([code, stderr], [
      2,
      'inferd: The store does not know an address of model "file"; give it with --url\n',
    ]);
    Deno.removeSync(`${box.dir}/models/blobs/sha256/${SECOND.slice(0, 2)}/${SECOND}/data`);
    const second = await box.run(["doctor", "--backend", "mock"], options);
    assertStringIncludes(second.stdout, '"inferd import file.gguf --name file" imports it again');
  }));

Deno.test("inferd models says what to do where there is none, and what is unfinished", () =>
  withHub(ONE, async (box, server, options) => {
    assertStringIncludes(
      (await box.run(["models"], options)).stdout,
      'has no models; "inferd pull hf:OWNER/REPO"',
    );
    server.next({ stallAfter: 100_000 });
    await using pulling = box.spawn(["pull", "hf:o/r/m.gguf"], options);
    await server.seen(1);
    const unfinished = async (): Promise<string> => {
      const { unfinished } = JSON.parse((await box.run(["models", "--json"], options)).stdout);
      return JSON.stringify(
        unfinished.map((one: Record<string, unknown>) => [one.name, one.size_bytes, one.total_bytes]),
      );
    };
    await eventually("100000 bytes of the file", async () => await unfinished() === '[["m",100000,300000]]');
    pulling.kill("SIGINT");
    assertEquals((await pulling.outcome).code, 1);
    assertEquals((await box.run(["models"], options)).stdout, "m  97.7 kiB of 293 kiB  (unfinished)\n");
    server.next({ status: 404 });
    await box.run(["pull", "hf:o/r/none.gguf"], options);
    assert(!(await box.run(["models"], options)).stdout.includes("none"));
  }));

Deno.test("every command that is given a model or a file there is not says so in one line, with exit code 2", () =>
  withHub(ONE, async (box, _server, options) => {
    await using _daemon = await box.serve(["--backend", "mock"]);
    await box.run(["pull", "hf:owner/repo/Small-Q4.gguf"], options);
    const file = `${box.dir}/nope.gguf`;
    const inStore = 'There is no model "Smal-Q4" in the store; did you mean "Small-Q4"?';
    const missing: readonly (readonly [string, readonly string[], string])[] = [
      ["show", ["Smal-Q4"], inStore],
      ["show", [file], `There is no file "${file}"`],
      ["run", ["Smal-Q4"], inStore],
      ["run", [file], `There is no model file "${file}"`],
      ["rm", ["Smal-Q4"], inStore],
      ["rm", ["inferd-tiny"], '"inferd-tiny" comes with inferd, and is not in the store'],
      ["cp", ["Smal-Q4", "new"], inStore],
      ["rename", ["Smal-Q4", "new"], inStore],
      ["import", [file], `Cannot import "${file}": no such file`],
      ["pull", ["Smal-Q4"], 'Neither the configuration nor the store has a model "Smal-Q4"'],
      ["generate", ["--model", "mokc", "hi"], 'The daemon has no model "mokc"; did you mean "mock"?'],
      ["chat", ["--model", "mokc"], 'The daemon has no model "mokc"; did you mean "mock"?'],
    ];
    for (const [command, args, message] of missing) {
      const { code, stdout, stderr } = await box.run([command, ...args], options);
      assertEquals([code, stdout], [2, ""], `${command} ${args.join(" ")}: ${stderr}`);
      assertStringIncludes(stderr, `inferd: ${message}`);
      assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
      assertMatch((await box.run([command, "--help"])).stdout, /^ {2}2 .*no such (?:model|file)/m);
    }
  }));

Deno.test("inferd embed and rerank take the name of a model", async () => {
  await using box = new Sandbox();
  const names = ["inferd-tiny-embed", "inferd-tiny-rerank"];
  const backends = names.map((name) => ({ kind: "llamacpp", name, model: { name } }));
  Deno.writeTextFileSync(`${box.dir}/config.json`, JSON.stringify({ backends }));
  await using _daemon = await box.serve(["--config", `${box.dir}/config.json`]);
  for (const [index, args] of [["embed", "a"], ["rerank", "a", "b"]].entries()) {
    const { code, stdout, stderr } = await box.run([...args, "--model", names[index] ?? ""]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(JSON.parse(stdout).model, names[index]);
    const wrong = await box.run([...args, "--model", names[1 - index] ?? ""]);
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, `The daemon has no model "${names[1 - index]}"`);
  }
});
