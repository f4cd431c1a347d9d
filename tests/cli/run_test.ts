/** From the name of a model to an answer: `run`, and what a newcomer needs beside it. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { Hub } from "../support/hub.ts";
import { type ProgramOptions, Sandbox } from "../support/program.ts";

const MODEL = Deno.readFileSync(BUILT_INS["inferd-tiny"].url);
const HUGE = 2 ** 60;

async function withHub(
  sizes: Readonly<Record<string, number>>,
  work: (box: Sandbox, options: ProgramOptions, requests: readonly Request[]) => Promise<void>,
): Promise<void> {
  await using box = new Sandbox();
  await using hub = new Hub("own/repo", sizes, MODEL);
  await work(box, { env: { MODELS_HOME: `${box.dir}/models`, HF_ENDPOINT: hub.url } }, hub.requests);
}

const SIZES = {
  "README.md": 10,
  "Small-F16.gguf": HUGE,
  "Small-Q8_0.gguf": MODEL.length * 2,
  "Small-Q4_K_M.gguf": MODEL.length,
  "Small-Q2_K.gguf": 10,
  "mmproj-Small-Q4_K_M.gguf": 1,
};

Deno.test("inferd pull of a repository takes Q4_K_M where it fits, and says so", () =>
  withHub(SIZES, async (box, options) => {
    const { code, stdout, stderr } = await box.run(["pull", "hf:own/repo"], options);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "Small-Q4_K_M.gguf: Q4_K_M, 5.46 MiB");
    assertMatch(stdout, /^Small-Q4_K_M {2}5\.46 MiB/);
  }));

Deno.test("inferd pull of a repository takes the largest that fits when Q4_K_M does not", () =>
  withHub({ ...SIZES, "Small-Q4_K_M.gguf": HUGE }, async (box, options) => {
    const { stderr } = await box.run(["pull", "hf:own/repo"], options);
    assertStringIncludes(stderr, "Small-Q8_0.gguf: Q8_0");
  }));

Deno.test("inferd pull of a repository says what there is when nothing fits or a quantisation is unknown", () =>
  withHub({ "Small-F16.gguf": HUGE, "Small-Q4_K_M.gguf": HUGE }, async (box, options) => {
    const none = await box.run(["pull", "hf:own/repo"], options);
    assertEquals([none.code, none.stdout], [1, ""]);
    assertMatch(none.stderr, /^inferd: No file of "own\/repo" fits this machine: it has .* of memory/);
    const unknown = await box.run(["pull", "hf:own/repo:Q3_K_L"], options);
    assertEquals(
      [unknown.code, unknown.stderr],
      [2, 'inferd: "own/repo" has no quantisation "Q3_K_L"; it has F16, Q4_K_M\n'],
    );
    const missing = await box.run(["pull", "hf:own/other"], options);
    assertEquals(missing.code, 1);
    assertStringIncludes(missing.stderr, 'Cannot list "hf:own/other": the server answers 404');
  }));

Deno.test("inferd show reads a remote model's header by ranges, and nothing is stored", () =>
  withHub(SIZES, async (box, options, requests) => {
    const { code, stdout, stderr } = await box.run(["show", "hf:own/repo:q4_k_m", "--json"], options);
    assertEquals(code, 0, stderr);
    const remote = JSON.parse(stdout);
    const { stdout: local } = await box.run(["show", "inferd-tiny", "--json"], options);
    assertEquals({ ...remote, model: "" }, { ...JSON.parse(local), model: "" });
    assertEquals([remote.architecture, remote.template], ["qwen2", true]);
    const files = requests.filter(({ url }) => url.includes("/resolve/"));
    assertEquals(files.every(({ headers }) => headers.has("range")), true);
    assertEquals(JSON.parse((await box.run(["models", "--json"], options)).stdout).models, []);
  }));

Deno.test("inferd run pulls a model, starts a daemon, chats, and inferd stop ends it", () =>
  withHub(SIZES, async (box, options) => {
    const said = await box.run(["run", "hf:own/repo", "--max-tokens", "4"], { ...options, stdin: "Hello\n" });
    assertEquals(said.code, 0, said.stderr);
    assertMatch(said.stdout, /\S/);
    const again = await box.run(["run", "Small-Q4_K_M", "--max-tokens", "4"], { ...options, stdin: "Hello\n/nope\n" });
    assertEquals(again.code, 0, again.stderr);
    assertStringIncludes(again.stderr, 'Unknown command "/nope"');
    const [model] = JSON.parse((await box.run(["ps", "--json"], options)).stdout);
    assertEquals([model.model, model.state, model.running], ["Small-Q4_K_M", "ready", 0]);
    const other = await box.run(["run", "inferd-tiny"], { ...options, stdin: "Hello\n" });
    assertEquals(other.code, 1);
    assertStringIncludes(other.stderr, 'does not serve "inferd-tiny" but "Small-Q4_K_M"');
    assertMatch((await box.run(["logs", "-n", "1"], options)).stdout, /^[\d-]{10} [\d:]{8} \w+ +\w+ \w+.*\n$/);
    assertEquals(await box.run(["stop"], options), { code: 0, stdout: "Stopped\n", stderr: "" });
    assertEquals((await box.run(["stop"], options)).code, 2);
  }));

Deno.test("inferd cp and rename give names to a model, and take none from another", () =>
  withHub(SIZES, async (box, options) => {
    await box.run(["pull", "hf:own/repo"], options);
    const names = async (): Promise<string[]> =>
      JSON.parse((await box.run(["models", "--json"], options)).stdout).models.map(
        ({ name }: { readonly name: string }) => name,
      );
    assertEquals((await box.run(["cp", "Small-Q4_K_M", "mine"], options)).code, 0);
    assertEquals(await names(), ["Small-Q4_K_M", "mine"]);
    assertEquals((await box.run(["rename", "mine", "ours"], options)).stdout, "Renamed mine to ours\n");
    assertEquals(await names(), ["Small-Q4_K_M", "ours"]);
    assertEquals((await box.run(["rename", "nothing", "ours"], options)).code, 2);
    assertStringIncludes((await box.run(["show", "our"], options)).stderr, 'did you mean "ours"?');
  }));

Deno.test("inferd show says that a file is truncated, and inferd import what to do with a Modelfile", async () => {
  await using box = new Sandbox();
  const whole = Deno.readFileSync(new URL("../../models/inferd-tiny.gguf", import.meta.url));
  const cut = `${box.dir}/cut.gguf`;
  Deno.writeFileSync(cut, whole.subarray(0, 3_000_000));
  const { code, stdout, stderr } = await box.run(["show", cut]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "qwen2");
  assertStringIncludes(stderr, `"${cut}" cannot be loaded: it is truncated: 3000000 of its `);

  const modelfile = `${box.dir}/Modelfile`;
  Deno.writeTextFileSync(modelfile, `FROM ${cut}\n`);
  const imported = await box.run(["import", modelfile]);
  assertEquals(imported.code, 2);
  assertStringIncludes(imported.stderr, `import --modelfile ${modelfile}"`);
});

Deno.test("inferd run says in one line why its daemon cannot start", async () => {
  await using box = new Sandbox();
  const file = `${box.dir}/text.gguf`;
  Deno.writeTextFileSync(file, "This is no model.");
  const { code, stdout, stderr } = await box.run(["run", file], { stdin: "" });
  assertEquals([code, stdout], [1, ""]);
  assertEquals(stderr, `Starting a daemon with ${file}\ninferd: Cannot load model "${file}": it is not a GGUF file\n`);
});

Deno.test("inferd show, pull and run say which references there are", async () => {
  await using box = new Sandbox();
  for (const command of ["show", "pull", "run"]) {
    const { code, stderr } = await box.run([command, "hf:owner"]);
    assertEquals([code, stderr], [
      2,
      'inferd: Unknown reference "hf:owner": use hf:OWNER/REPO[:QUANT] or hf:OWNER/REPO/FILE.gguf[@REVISION]\n',
    ]);
  }
});

Deno.test("inferd suggests the command, the flag and the name that was meant", async () => {
  await using box = new Sandbox();
  assertStringIncludes((await box.run(["gen"])).stderr, 'Unknown command "gen"; did you mean "generate"?');
  assertStringIncludes(
    (await box.run(["serve", "--modle", "x"])).stderr,
    'Unknown flag "--modle"; did you mean "--model"?',
  );
});
