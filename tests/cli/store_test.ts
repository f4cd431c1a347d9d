/** The model store as a user meets it: the commands, and a daemon that fetches what it was told to serve. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { mountSmallDisk, onSmallDisk } from "../support/small_disk.ts";
import { ModelServer } from "../support/model_server.ts";
import { Sandbox } from "../support/program.ts";

const { sha256, url: file } = BUILT_INS["inferd-tiny-embed"];
const MODEL = Deno.readFileSync(file);

/** A configuration whose one backend comes from a server, in the box's own store. */
function configure(box: Sandbox, url: string, more: Record<string, unknown> = {}): { env: Record<string, string> } {
  const path = `${box.dir}/config.json`;
  const model = { name: "tiny", sha256, source_url: url, size_bytes: MODEL.length };
  const backends = [{ kind: "llamacpp", name: "vectors", model }];
  Deno.writeTextFileSync(path, JSON.stringify({ models_home: "models", backends, ...more }));
  return { env: { INFERD_CONFIG: path } };
}

Deno.test("inferd serve fetches the model it is told to serve, says how far it is, and serves it", async () => {
  await using box = new Sandbox();
  await using server = new ModelServer(MODEL);
  const options = configure(box, `${server.url}/tiny.gguf`);
  const flags = await box.exactPermissions(options);
  await using daemon = box.spawn(["serve"], { ...options, permissions: flags });
  await daemon.stderr.has("inferd is ready");
  const answer = await box.run(["embed", "a text"], options);
  assertEquals([answer.code, answer.stderr], [0, ""]);
  assertEquals(JSON.parse(answer.stdout).model, "tiny");
  const listed = await box.run(["models", "--json"], options);
  const [model] = JSON.parse(listed.stdout).models;
  assertEquals([model.name, model.sha256, model.size_bytes, model.in_use], ["tiny", sha256, MODEL.length, true]);
  const removed = await box.run(["rm", "tiny"], options);
  assertEquals(removed.code, 1, removed.stdout);
  assertMatch(removed.stderr, /^inferd: .*in use/);
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  // The second start has it already.
  const requests = server.requests.length;
  await using again = await box.serve([], { ...options, permissions: flags });
  assertEquals(server.requests.length, requests);
  again.kill("SIGTERM");
  await again.outcome;
});

Deno.test("inferd serve says what to do when a model is missing and may not be fetched", async () => {
  await using box = new Sandbox();
  const options = configure(box, "https://models.example/tiny.gguf", { auto_pull: false });
  const { code, stderr } = await box.run(["serve"], options);
  assertEquals(code, 1);
  assertStringIncludes(stderr, 'inferd: Model "tiny" is not in the store, and auto_pull is off; "inferd pull tiny"');
});

Deno.test("inferd pull fetches what the configuration names, once, and inferd rm removes it", async () => {
  await using box = new Sandbox();
  await using server = new ModelServer(MODEL);
  const options = configure(box, `${server.url}/tiny.gguf`);
  const pulled = await box.run(["pull"], options);
  assertEquals(pulled.code, 0, pulled.stderr);
  assertEquals(pulled.stdout, `tiny  1.96 MiB  sha256:${sha256}\n`);
  const again = await box.run(["pull", "tiny", "--json"], options);
  assertEquals(JSON.parse(again.stdout).map(({ name }: { name: string }) => name), ["tiny"]);
  assertEquals(server.requests.length, 1);
  const removed = await box.run(["rm", "tiny"], options);
  assertEquals([removed.code, removed.stdout], [0, "Removed tiny, 1.96 MiB freed\n"]);
  assertStringIncludes((await box.run(["models"], options)).stdout, "has no models");
  assertEquals((await box.run(["rm", "tiny"], options)).code, 2);
});

Deno.test("inferd pull goes through no proxy of the environment to this machine", async () => {
  await using box = new Sandbox();
  await using server = new ModelServer(MODEL);
  await using proxy = new ModelServer(MODEL);
  for (const name of ["HTTP_PROXY", "ALL_PROXY"]) {
    for (const excepted of [{}, { NO_PROXY: "example.org" }]) {
      const env = { MODELS_HOME: `${box.dir}/models`, [name]: new URL(proxy.url).origin, ...excepted };
      const pulled = await box.run(["pull", `${server.url}/tiny.gguf`, "--header", "X-Key: secret"], { env });
      assertEquals([pulled.code, proxy.requests.length], [0, 0], pulled.stderr);
    }
  }
});

Deno.test("inferd pull takes a URL, refuses another hash, and exits with 1 when the server refuses", async () => {
  await using box = new Sandbox();
  await using server = new ModelServer(MODEL, [{}, {}, { status: 404 }]);
  const env = { MODELS_HOME: `${box.dir}/models` };
  const good = await box.run(["pull", `${server.url}/a/tiny-model.gguf`, "--sha256", sha256], { env });
  assertEquals([good.code, good.stdout], [0, `tiny-model  1.96 MiB  sha256:${sha256}\n`], good.stderr);
  const other = await box.run(["pull", "x", "--url", `${server.url}/x.gguf`, "--sha256", "0".repeat(64)], { env });
  assertEquals([other.code, other.stdout], [1, ""]);
  assertStringIncludes(other.stderr, sha256);
  const missing = await box.run(["pull", `${server.url}/missing.gguf`], { env });
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.stderr, "404");
});

Deno.test({
  ...onSmallDisk(
    "inferd pull says what is missing of room as soon as it knows how long a model is, and stores nothing",
  ),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const store = `${box.dir}/models`;
    Deno.mkdirSync(store);
    await using _disk = await mountSmallDisk(store, "1m");
    await using server = new ModelServer(MODEL);
    const { code, stdout, stderr } = await box.run(["pull", `${server.url}/a/big.gguf`], {
      env: { MODELS_HOME: store },
    });
    assertEquals([code, stdout], [1, ""]);
    assertMatch(
      stderr,
      /inferd: Cannot pull "big": it takes 1\.96 MiB, and ".*" has room for [\d.]+ \w+\. Remove/,
    );
  },
});

Deno.test("inferd import --modelfile prints a backend, and on stderr what is left out", async () => {
  await using box = new Sandbox();
  const path = `${box.dir}/Modelfile`;
  await Deno.writeTextFile(path, "FROM inferd-tiny\nPARAMETER num_ctx 256\nTEMPLATE {{ .Prompt }}\nSYSTEM Be brief.\n");
  const { code, stdout, stderr } = await box.run(["import", "--modelfile", path, "--name", "brief"]);
  assertEquals(code, 0, stderr);
  assertEquals(JSON.parse(stdout), {
    backends: [{
      kind: "llamacpp",
      name: "brief",
      model: { name: "inferd-tiny" },
      load: "on_demand",
      n_ctx: 256,
      system: "Be brief.",
    }],
  });
  assertStringIncludes(stderr, "Line 3: TEMPLATE is a Go template");
  await Deno.writeTextFile(path, "FROM nobody");
  const refused = await box.run(["import", "--modelfile", path]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.stderr, 'Line 1: there is no model "nobody"');
});

Deno.test("inferd import takes a file into the store and says what is no model", async () => {
  await using box = new Sandbox();
  const env = { MODELS_HOME: `${box.dir}/models` };
  const path = `${box.dir}/mine.gguf`;
  Deno.writeFileSync(path, MODEL);
  const imported = await box.run(["import", path, "--json"], { env });
  assertEquals(imported.code, 0, imported.stderr);
  const { name, how } = JSON.parse(imported.stdout);
  assertEquals([name, how], ["mine", "linked"]);
  Deno.writeTextFileSync(`${box.dir}/notes.gguf`, "not a model");
  const refused = await box.run(["import", `${box.dir}/notes.gguf`], { env });
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertEquals((await box.run(["import", "--list"], { env })).stdout, "No models of Ollama or LM Studio were found\n");
  const collected = await box.run(["gc", "--dry-run"], { env });
  assertEquals([collected.code, collected.stdout], [0, "0 B would be freed\n"]);
});

const WRONG: readonly (readonly [string[], string])[] = [
  [["pull"], "The configuration names no model to pull"],
  [["pull", "x"], 'Neither the configuration nor the store has a model "x"'],
  [["pull", "http://models.example/x.gguf"], "it must be an https URL"],
  [["pull", "hf:owner"], "hf:owner"],
  [["pull", "https://a.example/x.gguf", "--sha256", "abc"], "--sha256 must be 64 hexadecimal digits"],
  [["rm"], "Name a model"],
  [["import"], "Give a file, a title, or --list"],
];
for (const [args, message] of WRONG) {
  Deno.test(`inferd ${args.join(" ")} exits with 2 and one line`, async () => {
    await using box = new Sandbox();
    const { code, stdout, stderr } = await box.run(args, { env: { MODELS_HOME: `${box.dir}/models` } });
    assertEquals([code, stdout], [2, ""], stderr);
    assertStringIncludes(stderr, message);
    assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
  });
}
