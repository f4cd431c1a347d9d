import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { parseConfigFile } from "../../../src/config/file.ts";
import { loadConfig, type LoadedConfig, withKeys } from "../../../src/config/load.ts";
import { resolveOptions } from "../../../src/config/resolve.ts";
import type { SettingValues } from "../../../src/config/schema.ts";
import { UsageError } from "../../../src/config/setting/usage_error.ts";
import { loaded, MACHINE } from "./support.ts";

const llamacpp = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  kind: "llamacpp",
  name: "a",
  model: { name: "inferd-tiny" },
  ...more,
});
const remote = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  kind: "openai-compat",
  name: "far",
  base_url: "https://models.example/v1/",
  model: "big",
  ...more,
});
const HASH = "AB".repeat(32);

const WRONG: readonly (readonly [unknown, string])[] = [
  [[], "the file: must be an object, got []"],
  [{ foo: 1 }, "foo: there is no such key"],
  [{ backends: [] }, "backends: must not be empty"],
  [{ backends: [llamacpp({ n_ctx: 3 })] }, "backends[0].n_ctx: must be at least 16, got 3"],
  [{ backends: [llamacpp({ n_ctx: "3" })] }, 'backends[0].n_ctx: must be a number, got "3"'],
  [{ backends: [llamacpp({ n_ctx: 100.5 })] }, "backends[0].n_ctx: must be a whole number, got 100.5"],
  [{ backends: [llamacpp({ ctx: 3 })] }, "backends[0].ctx: there is no such key"],
  [
    { backends: [llamacpp({ pooling: "max" })] },
    'backends[0].pooling: must be one of "mean", "cls", "last", "rank", got "max"',
  ],
  [
    { backends: [remote({ proxy: "proxy.example:3128" })] },
    "backends[0].proxy: must be an http, https, socks5 or socks5h URL",
  ],
  [{ backends: [{ kind: "lama" }] }, 'backends[0].kind: must be one of "llamacpp", "openai-compat", "mock"'],
  [{ backends: [{ kind: "llamacpp", name: "a" }] }, "backends[0].model: must be an object, got nothing"],
  [{ backends: [llamacpp(), remote(), llamacpp()] }, 'backends[2].name: is "a" like another backend\'s'],
  [
    { backends: [llamacpp({ model: { name: "x", size_bytes: 5 } })] },
    'backends[0].model.size_bytes: goes with "source_url" only',
  ],
  [{ model: {} }, 'model: must have either "path" or "name"'],
  [{ model: { path: "x", name: "y" } }, 'model: must have either "path" or "name"'],
  [{ model: { path: "x", license: "y" } }, 'model.license: does not go with "path"'],
  [
    { model: { name: "../x", sha256: HASH, source_url: "https://a.example/x" } },
    "model.name: must be letters, digits, dots, dashes and underscores, without a leading dot",
  ],
  [{ model: { path: "x", sha256: "zz" } }, "model.sha256: must be 64 hexadecimal digits"],
  [{ model: { name: "x", sha256: HASH, source_url: "http://a.example/x" } }, "model.source_url: must be an https URL"],
  [{ model: { path: "x" }, backends: [llamacpp()] }, 'model: does not go with "backends", give one of them'],
  [
    { model: { path: "x" }, model_autoselect: [{ model: { path: "y" } }] },
    'model_autoselect: does not go with "model", give one of them',
  ],
  [{ backends: [remote({ base_url: "ftp://x" })] }, "backends[0].base_url: must be an http or https URL"],
  [
    { backends: [remote({ api_key_env: "A B" })] },
    "backends[0].api_key_env: must be the name of an environment variable",
  ],
  [{ backends: [remote({ timeout_secs: 0 })] }, "backends[0].timeout_secs: must be above 0, got 0"],
  [{ backends: [remote({ api_key: "secret" })] }, "backends[0].api_key: there is no such key"],
  [{ api_key: "secret" }, "api_key: there is no such key"],
  [{ parallel: 0, queue_depth: -1 }, "parallel: must be at least 1, got 0 (and 1 more)"],
  [
    { listen: { v2_tcp: "a:b:c" } },
    "listen.v2_tcp: must be HOST:PORT, for example 127.0.0.1:47322 or [::1]:47322",
  ],
  [{ log_level: "loud" }, 'log_level: must be one of "debug", "info", "warn", "error", got "loud"'],
];

for (const [value, message] of WRONG) {
  Deno.test(`parseConfigFile says "${message.slice(0, 60)}" when the file says ${JSON.stringify(value).slice(0, 60)}`, () => {
    const error = assertThrows(() => parseConfigFile(JSON.stringify(value), "c.json"), UsageError);
    assertEquals(error.message, `Cannot use "c.json": ${message}`);
  });
}

Deno.test("parseConfigFile says on one line that a file is not JSON", () => {
  const error = assertThrows(() => parseConfigFile("{\n oops", "c.json"), UsageError);
  assertEquals(error.message.startsWith('Cannot use "c.json": it is not JSON ('), true);
  assertEquals(error.message.includes("\n"), false);
});

Deno.test("resolveOptions takes several backends from the file, in its order", () => {
  const config = loaded({
    n_ctx: 512,
    threads: 3,
    backends: [
      llamacpp({
        n_ctx: 256,
        parallel: 2,
        warm: ["You are kind."],
        fast_forward: false,
        next_turn: false,
        speculation: false,
      }),
      llamacpp({ name: "vectors", model: { path: "m/e.gguf", sha256: HASH }, embed: true, pooling: "cls" }),
      llamacpp({ name: "stored", model: { name: "big", sha256: HASH, source_url: "https://a.example/big.gguf" } }),
      remote({ api_key_env: "FAR_KEY", proxy: "http://proxy.example:3128" }),
      { kind: "mock", name: "m", script: { count: 2 } },
    ],
  });
  const sha256 = HASH.toLowerCase();
  assertEquals(resolveOptions({}, MACHINE, config).backends, [
    {
      kind: "llamacpp",
      name: "a",
      modelName: "inferd-tiny",
      contextTokens: 256,
      threads: 3,
      parallel: 2,
      fastForward: false,
      nextTurn: false,
      speculation: false,
      warm: ["You are kind."],
    },
    {
      kind: "llamacpp",
      name: "vectors",
      modelName: "e",
      modelPath: "/etc/inferd/m/e.gguf",
      modelSha256: sha256,
      contextTokens: 512,
      threads: 3,
      embed: true,
      pooling: "cls",
    },
    {
      kind: "llamacpp",
      name: "stored",
      modelName: "big",
      modelPath: `/h/.local/share/models/blobs/sha256/ab/${sha256}/data`,
      modelSha256: sha256,
      source: { url: "https://a.example/big.gguf" },
      contextTokens: 512,
      threads: 3,
    },
    {
      kind: "openai-compat",
      name: "far",
      baseUrl: "https://models.example/v1",
      model: "big",
      apiKeyEnv: "FAR_KEY",
      timeoutSecs: 300,
      proxy: "http://proxy.example:3128",
    },
    { kind: "mock", name: "m", script: { count: 2 } },
  ]);
});

Deno.test("resolveOptions takes flag and environment before the file", () => {
  const config = loaded({
    listen: { uds: "s/infer.sock", v2_tcp: "localhost", embed_addr: "/e.sock" },
    namespace: "file",
    queue_depth: 3,
    parallel: 2,
    n_ctx: 64,
    backends: [llamacpp({ n_ctx: 256 })],
  });
  const options = resolveOptions({ namespace: "flag", parallel: 7, contextTokens: 1024 }, MACHINE, config);
  assertEquals([options.namespace, options.queueDepth, options.parallel], ["flag", 3, 7]);
  assertEquals(options.listen, {
    infer: { socket: "/etc/inferd/s/infer.sock" },
    v2: { socket: "/etc/inferd/s/infer.v2.sock", tcp: { hostname: "localhost", port: 47322 } },
    embed: { socket: "/e.sock" },
    rerank: { socket: "/etc/inferd/s/infer.rerank.sock" },
  });
  assertEquals(options.backends, [{ kind: "llamacpp", name: "a", modelName: "inferd-tiny", contextTokens: 1024 }]);
  assertEquals(resolveOptions({ backend: "mock" }, MACHINE, config).backends, [{
    kind: "mock",
    name: "mock",
    script: {},
  }]);
});

Deno.test("resolveOptions takes the accelerator of the flag, then of the backend, then of all", () => {
  const of = (given: SettingValues, config?: LoadedConfig): unknown[] =>
    resolveOptions(given, MACHINE, config).backends.map((backend) =>
      backend.kind === "llamacpp" ? backend.accelerator : "not local"
    );
  const config = loaded({
    accelerator: "vulkan",
    backends: [llamacpp(), llamacpp({ name: "b", accelerator: "cpu" }), remote()],
  });
  assertEquals(of({}), [undefined]);
  assertEquals(of({ accelerator: "cuda" }), ["cuda"]);
  assertEquals(of({}, config), ["vulkan", "cpu", "not local"]);
  assertEquals(of({ accelerator: "cuda" }, config), ["cuda", "cuda", "not local"]);
});

Deno.test("resolveOptions finds the native library a backend is to have", () => {
  const folders = (given: SettingValues, config?: LoadedConfig): (string | undefined)[] =>
    resolveOptions(given, MACHINE, config).backends.map((backend) =>
      backend.kind === "llamacpp" ? backend.libraryDir : "not local"
    );
  const config = loaded({
    library_dir: "lib",
    backends: [llamacpp(), llamacpp({ name: "b", library_dir: "/opt/own" }), remote()],
  });
  assertEquals(folders({}), [undefined]);
  assertEquals(folders({ libraryDir: "/flag" }), ["/flag"]);
  assertEquals(folders({}, config), ["/etc/inferd/lib", "/opt/own", "not local"]);
  assertEquals(folders({ libraryDir: "/flag" }, config), ["/flag", "/flag", "not local"]);
});

Deno.test("resolveOptions takes the first model of a list that the machine has the memory for", () => {
  const list = (...least: (number | undefined)[]): LoadedConfig =>
    loaded({
      model_autoselect: least.map((min_memory_bytes, index) => ({
        model: { path: `/m/${index}.gguf` },
        min_memory_bytes,
      })),
    });
  const chosen = (config: LoadedConfig): unknown[] =>
    resolveOptions({}, MACHINE, config).backends.map((backend) => backend.kind === "llamacpp" && backend.modelPath);
  assertEquals(chosen(list(16e9, 8e9, undefined)), ["/m/1.gguf"]);
  assertEquals(chosen(list(16e9, 9e9, undefined)), ["/m/2.gguf"]);
  const error = assertThrows(() => resolveOptions({}, MACHINE, list(16e9, 9e9)), UsageError);
  assertEquals(
    error.message,
    'No model of "model_autoselect" fits: this machine has 8000000000 bytes of memory, the smallest asks for 9000000000',
  );
  assertEquals(resolveOptions({ model: "/x.gguf" }, MACHINE, list(16e9)).backends.length, 1);
});

Deno.test("resolveOptions refuses flags that mean nothing beside the file's backends", () => {
  const config = loaded({ backends: [llamacpp()] });
  assertThrows(
    () => resolveOptions({ modelSha256: HASH }, MACHINE, config),
    UsageError,
    "--model-sha256 goes with --model",
  );
  assertThrows(() => resolveOptions({ mockScript: {} }, MACHINE, config), UsageError, "--mock-script goes with");
});

Deno.test("loadConfig finds the file at home, starts relative paths at its folder, and needs one that was named", async () => {
  const home = await Deno.makeTempDir({ prefix: "inferd-config-" });
  const env = (name: string): string | undefined => name === "HOME" ? home : undefined;
  try {
    assertEquals(await loadConfig({}, env), undefined);
    const missing = await assertRejects(() => loadConfig({ config: `${home}/x.json` }, env), UsageError);
    assertEquals(missing.message, `Cannot read "${home}/x.json": there is no such file`);
    Deno.mkdirSync(`${home}/.inferd`);
    Deno.writeTextFileSync(`${home}/.inferd/config.json`, '{"namespace":"n"}');
    const config = await loadConfig({}, env);
    assertEquals(config?.content.namespace, "n");
    assertEquals(["a/b", "/c", "~/d"].map((path) => config?.place(path)), [`${home}/.inferd/a/b`, "/c", `${home}/d`]);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("withKeys reads keys from the file and the variables that were named, and says what is missing", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-keys-" });
  try {
    Deno.writeTextFileSync(`${dir}/key`, " k1\n");
    Deno.writeTextFileSync(`${dir}/empty`, "\n");
    const options = (file: string): ReturnType<typeof resolveOptions> =>
      resolveOptions({}, MACHINE, loaded({ api_key_file: file, backends: [remote({ api_key_env: "FAR_KEY" })] }));
    const keyed = withKeys(options(`${dir}/key`), (name) => name === "FAR_KEY" ? "k2" : undefined);
    assertEquals(keyed.apiKey, "k1");
    assertEquals(keyed.backends.map((backend) => backend.kind === "openai-compat" && backend.apiKey), ["k2"]);
    const message = (file: string): string =>
      assertThrows(() => withKeys(options(file), () => "k"), UsageError).message;
    assertEquals(message(`${dir}/none`), `Cannot read the API key from "${dir}/none": there is no such file`);
    assertEquals(message(`${dir}/empty`), `Cannot read the API key from "${dir}/empty": it is empty`);
    assertThrows(
      () => withKeys(options(`${dir}/key`), () => undefined),
      UsageError,
      'Backend "far" takes its key from FAR_KEY, which is not set',
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const CLASHES: readonly (readonly [Record<string, unknown>, string])[] = [
  [
    { cache_type_v: "q8_0", flash_attn: "off" },
    'Backend "a": "cache_type_v" q8_0 needs flash attention: set "flash_attn" to "on" or "auto"',
  ],
  [
    { main_gpu: 1, tensor_split: [1, 2] },
    'Backend "a": "main_gpu" is one GPU and "tensor_split" several: give one of them',
  ],
  [{ main_gpu: 1, accelerator: "cpu" }, 'Backend "a": "main_gpu" does not go with "accelerator" cpu'],
  [
    { rope_scaling: "none", rope_freq_scale: 0.5 },
    'Backend "a": "rope_freq_scale" does not go with "rope_scaling" none',
  ],
];

for (const [settings, message] of CLASHES) {
  Deno.test(`settings of a model that exclude each other are refused: ${Object.keys(settings).join(", ")}`, () => {
    const config = loaded({ backends: [llamacpp(settings)] });
    assertThrows(() => resolveOptions({}, MACHINE, config), UsageError, message);
  });
}

Deno.test("settings of a model are read, with paths that start at the file's folder", () => {
  const settings = {
    sampling: { top_p: 0.5, stop: ["x"] },
    chat_template: "t.jinja",
    lora: [{ path: "l.gguf" }, { path: "/m.gguf", scale: 0.5 }],
    tensor_split: [1, 0],
  };
  const [backend] = resolveOptions({}, MACHINE, loaded({ backends: [llamacpp(settings)] })).backends;
  if (backend?.kind !== "llamacpp") throw new Error("It is a local model");
  const { sampling, chatTemplate, lora, tensorSplit } = backend;
  assertEquals({ sampling, chatTemplate, lora, tensorSplit }, {
    sampling: { topP: 0.5, stop: ["x"] },
    chatTemplate: "/etc/inferd/t.jinja",
    lora: [{ path: "/etc/inferd/l.gguf", scale: 1 }, { path: "/m.gguf", scale: 0.5 }],
    tensorSplit: [1, 0],
  });
});

Deno.test("a model in a file that Ollama named by its hash has the name of its backend", () => {
  const entry = { kind: "llamacpp", name: "brief", model: { path: `/blobs/sha256-${"ab".repeat(32)}` } };
  const [backend] = resolveOptions({}, MACHINE, loaded({ backends: [entry] })).backends;
  assertEquals(backend?.kind === "llamacpp" ? backend.modelName : undefined, "brief");
});

for (
  const [sampling, message] of [
    [{ heat: 1 }, 'backends[0].sampling: has no key "heat"'],
    [{ top_p: 0 }, 'backends[0].sampling: must have a number above 0 and at most 1 as "top_p", got 0'],
    [{ stop: [""] }, "backends[0].sampling: must have at most"],
  ] as const
) {
  Deno.test(`sampling of a backend is refused: ${JSON.stringify(sampling)}`, () => {
    assertThrows(() => loaded({ backends: [llamacpp({ sampling })] }), UsageError, message);
  });
}
