/** A daemon with a draft model, from the command line: exact permissions, status, counts. */
import { connect } from "@inferd/client";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { MODEL_PATH } from "../engine/engine_child.ts";
import { ModelServer } from "../support/model_server.ts";
import { Sandbox } from "../support/program.ts";

Deno.test("serve guesses with the draft model of --draft, and says so", async () => {
  await using box = new Sandbox();
  const draft = `${box.dir}/small.gguf`;
  await Deno.copyFile(MODEL_PATH, draft);
  await using daemon = await box.serve(["--draft", draft, "--n-ctx", "256"]);
  const { capabilities } = await box.admin.snapshot();
  assertEquals(capabilities.map(({ model, draft }) => [model, draft]), [["inferd-tiny", "small"]]);
  const { stdout } = await box.run(["status"]);
  assertStringIncludes(stdout, "draft    small");
  await using client = await connect({ path: `${box.runtimeDir}/infer.v2.sock` });
  let drafted = 0;
  for (const about of ["the sea", "a lamp", "the moon", "a river", "a bell"]) {
    const content = [{ type: "text", text: `Write a poem about ${about}.` }] as const;
    const { usage } = await client.generate({ messages: [{ role: "user", content }], temperature: 0 }).result();
    drafted += usage.draftedTokens ?? 0;
  }
  assert(drafted > 0);
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
});

Deno.test("serve fetches a draft model with a source, under exact permissions", async () => {
  await using box = new Sandbox();
  await using server = new ModelServer(Deno.readFileSync(MODEL_PATH));
  const path = `${box.dir}/config.json`;
  const draft = { name: "small", source_url: `${server.url}/small.gguf` };
  const backends = [{ kind: "llamacpp", name: "a", n_ctx: 256, model: { name: "inferd-tiny" }, draft }];
  Deno.writeTextFileSync(path, JSON.stringify({ models_home: "models", backends }));
  const options = { env: { INFERD_CONFIG: path } };
  const permissions = await box.exactPermissions(options);
  await using daemon = await box.serve([], { ...options, permissions });
  const { capabilities } = await box.admin.snapshot();
  assertEquals(capabilities.map(({ model, draft }) => [model, draft]), [["inferd-tiny", "small"]]);
  const { models } = JSON.parse((await box.run(["models", "--json"], options)).stdout);
  assertEquals(models.map(({ name, in_use }: Record<string, unknown>) => [name, in_use]), [["small", true]]);
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  // "inferd pull" knows it, too, and what the store has is not fetched again.
  const requests = server.requests.length;
  const { stdout } = await box.run(["pull"], options);
  assertStringIncludes(stdout, "small");
  assertEquals(server.requests.length, requests);
});

Deno.test("inferd config print names the draft model, and where it is from", async () => {
  await using box = new Sandbox();
  const path = `${box.dir}/config.json`;
  const backend = { kind: "llamacpp", name: "a", model: { path: "m.gguf" }, draft: { path: "d.gguf" } };
  Deno.writeTextFileSync(path, JSON.stringify({ backends: [backend] }));
  const print = async (...args: string[]): Promise<Record<string, unknown>> =>
    JSON.parse((await box.run(["config", "print", "--json", ...args])).stdout).values;
  assertEquals((await print("--config", path))["backends[0].draft.path"], {
    value: `${box.dir}/d.gguf`,
    origin: `file ${path}: backends[0].draft.path`,
  });
  assertEquals((await print("--draft", "/x/d.gguf"))["backends[0].draft.path"], {
    value: "/x/d.gguf",
    origin: "flag --draft",
  });
});

Deno.test("serve says in one line that a draft model writes nothing", async () => {
  await using box = new Sandbox();
  const draft = new URL("../../models/inferd-tiny-rerank.gguf", import.meta.url).pathname;
  const { code, stderr } = await box.run(["serve", "--draft", draft]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `Cannot use "${draft}" as the draft model of "`);
  assertStringIncludes(stderr, "it does not generate text token by token");
});
