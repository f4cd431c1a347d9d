/** `inferd config`: where every value is from, and that no secret is among them. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Sandbox } from "../support/program.ts";

interface Printed {
  readonly config_file: { readonly path: string | null; readonly exists: boolean };
  readonly values: Readonly<Record<string, { readonly value: unknown; readonly origin: string }>>;
}

function write(box: Sandbox, config: unknown): string {
  const path = `${box.dir}/config.json`;
  Deno.writeTextFileSync(path, JSON.stringify(config));
  return path;
}

async function print(box: Sandbox, args: readonly string[], env: Record<string, string> = {}): Promise<Printed> {
  const { code, stdout, stderr } = await box.run(["config", "print", "--json", ...args], { env });
  assertEquals([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

Deno.test("inferd config print names flag, variable, file or default as a value's origin", async () => {
  await using box = new Sandbox();
  const config = write(box, {
    queue_depth: 7,
    parallel: 2,
    n_ctx: 512,
    listen: { uds: "here.sock", tcp: "127.0.0.1:4000" },
    backends: [{ kind: "llamacpp", name: "a", model: { path: "m.gguf" }, threads: 3, library_dir: "lib" }],
    accelerator: "cpu",
  });
  const { config_file, values } = await print(box, ["--config", config, "--parallel", "3", "--n-gpu-layers=0"], {
    INFERD_DRAIN_TIMEOUT_SECS: "4",
  });
  assertEquals(config_file, { path: config, exists: true });
  const expected: readonly (readonly [string, unknown, string])[] = [
    ["parallel", 3, "flag --parallel"],
    ["drain_timeout_secs", 4, "environment INFERD_DRAIN_TIMEOUT_SECS"],
    ["queue_depth", 7, `file ${config}: queue_depth`],
    ["listen.uds", `${box.dir}/here.sock`, `file ${config}: listen.uds`],
    ["listen.tcp", "127.0.0.1:4000", `file ${config}: listen.tcp`],
    ["listen.v2_addr", `${box.dir}/infer.v2.sock`, "default"],
    ["ready_timeout_secs", 30, "default"],
    ["group", null, "default"],
    ["log_dir", `${box.dir}/logs`, "environment INFERD_LOG_DIR"],
    ["runtime_dir", box.runtimeDir, "environment XDG_RUNTIME_DIR"],
    ["models_home", `${box.dir}/.local/share/models`, "default"],
    ["backends[0].name", "a", `file ${config}: backends[0].name`],
    ["backends[0].model.path", `${box.dir}/m.gguf`, `file ${config}: backends[0].model.path`],
    ["backends[0].threads", 3, `file ${config}: backends[0].threads`],
    ["backends[0].accelerator", "cpu", `file ${config}: accelerator`],
    ["backends[0].library_dir", `${box.dir}/lib`, `file ${config}: backends[0].library_dir`],
    ["backends[0].n_ctx", 512, `file ${config}: n_ctx`],
    ["backends[0].n_gpu_layers", 0, "flag --n-gpu-layers"],
    ["backends[0].parallel", 3, "flag --parallel"],
    ["backends[0].pooling", null, "default"],
  ];
  for (const [key, value, origin] of expected) assertEquals([key, values[key]], [key, { value, origin }]);
});

Deno.test("inferd config print shows the backend of the flags when they go before the file's", async () => {
  await using box = new Sandbox();
  const config = write(box, { model: { path: "m.gguf" } });
  const ofFile = await print(box, ["--config", config]);
  assertEquals(ofFile.values["backends[0].model.path"], {
    value: `${box.dir}/m.gguf`,
    origin: `file ${config}: model.path`,
  });
  const { values } = await print(box, ["--config", config, "--model", "/x/y.gguf"], { INFERD_BACKEND: "llamacpp" });
  assertEquals(values["backends[0].model.path"], { value: "/x/y.gguf", origin: "flag --model" });
  assertEquals(values["backends[0].kind"], { value: "llamacpp", origin: "environment INFERD_BACKEND" });
});

Deno.test("inferd config print says that a secret is set, and never the secret", async () => {
  await using box = new Sandbox();
  const canary = "canary-0123456789";
  Deno.writeTextFileSync(`${box.dir}/key`, canary);
  const remote = (name: string, more: Record<string, unknown>): Record<string, unknown> => ({
    kind: "openai-compat",
    name,
    base_url: `https://me:${canary}@models.example/v1?key=${canary}`,
    proxy: `http://me:${canary}@proxy.example:3128`,
    model: "m",
    ...more,
  });
  const config = write(box, {
    api_key_file: "key",
    backends: [remote("a", { api_key_env: "KEY_A" }), remote("b", { api_key_env: "KEY_B" }), remote("c", {})],
  });
  const env = { KEY_A: canary, INFERD_CONFIG: config };
  const { values } = await print(box, [], env);
  assertEquals(values.api_key, { value: "set", origin: `file ${config}: api_key_file` });
  assertEquals(values["backends[0].api_key"], { value: "set", origin: "environment KEY_A" });
  assertEquals(values["backends[1].api_key"], { value: "not set", origin: "environment KEY_B" });
  assertEquals(values["backends[2].api_key_env"]?.value, null);
  assertEquals(values["backends[0].proxy"], {
    value: "http://[REDACTED:userinfo]@proxy.example:3128/",
    origin: `file ${config}: backends[0].proxy`,
  });
  assertEquals(values["backends[2].api_key"], undefined);
  for (const args of [["--json"], [], ["--api-key", canary], ["--json", `--api-key=${canary}`]]) {
    const { code, stdout, stderr } = await box.run(["config", "print", ...args], {
      env: { ...env, ...args.length > 1 ? {} : { INFERD_API_KEY: canary } },
    });
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, args.length > 1 ? /flag --api-key/ : /environment INFERD_API_KEY/);
    assert(!stdout.includes(canary), stdout);
  }
});

Deno.test("inferd config print is a table when JSON is not asked for, and says that there is no file", async () => {
  await using box = new Sandbox();
  const { code, stdout } = await box.run(["config", "print", "--backend", "mock"]);
  assertEquals(code, 0);
  assertMatch(stdout, /^config file {2}\S+\/\.inferd\/config\.json \(there is none\)\n\n/);
  assertMatch(stdout, /^backends\[0\]\.kind +mock +flag --backend$/m);
  assertMatch(stdout, /^queue_depth +10 +default$/m);
  assert(!stdout.includes("\x1b"), "no colours on a pipe");
});

Deno.test("inferd config exits with 2 and one line when it cannot say what holds", async () => {
  await using box = new Sandbox();
  const config = write(box, { paralel: 1 });
  for (
    const [args, message] of [
      [["config"], "No action given. Use print or schema"],
      [["config", "show"], 'Unknown action "show". Use print or schema'],
      [["config", "print", "--config", config], `Cannot use "${config}": paralel: there is no such key`],
      [["config", "print", "--config", "/nonexistent"], 'Cannot read "/nonexistent"'],
      [["config", "print", "--parallel", "0"], "--parallel must be"],
      [["config", "schema", "now"], 'Unexpected argument "now"'],
    ] as const
  ) {
    const { code, stdout, stderr } = await box.run(args);
    assertEquals([code, stdout], [2, ""], stderr);
    assertStringIncludes(stderr, message);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  }
});

Deno.test("inferd config schema prints the schema that is among the documents, without any permission", async () => {
  await using box = new Sandbox();
  const { code, stdout } = await box.run(["config", "schema"], { permissions: ["--no-prompt"] });
  assertEquals([code, stdout], [0, Deno.readTextFileSync(new URL("../../docs/config.schema.json", import.meta.url))]);
});
