/** The JSON Schema of the configuration file: current, and of one mind with the program. */
import { assert, assertEquals } from "@std/assert";
import { Ajv, type ValidateFunction } from "ajv";
import formats from "ajv-formats";
import { parseConfigFile } from "../../../src/config/file.ts";
import { configSchemaText } from "../../../src/config/json_schema_file.ts";

const DOCS = new URL("../../../docs/config.schema.json", import.meta.url);
const EXAMPLES = new URL("../../../examples/", import.meta.url);
const HASH = "AB".repeat(32);
const SOURCE = "https://models.example/x.gguf";

function validator(): ValidateFunction {
  // Strict: a word that no draft knows would be an error.
  const ajv = new Ajv({ strict: true, strictRequired: false, allErrors: true });
  formats.default(ajv);
  return ajv.compile(JSON.parse(configSchemaText()));
}

function accepts(value: unknown): boolean {
  try {
    parseConfigFile(JSON.stringify(value), "c.json");
    return true;
  } catch {
    return false;
  }
}

Deno.test("docs/config.schema.json is what the program makes of its configuration", () => {
  assertEquals(Deno.readTextFileSync(DOCS), configSchemaText(), 'Renew it with "deno task schema"');
});

const local = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  backends: [{ kind: "llamacpp", name: "a", model: { name: "inferd-tiny" }, ...more }],
});
const remote = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  backends: [{ kind: "openai-compat", name: "a", base_url: "http://host:8000/v1", model: "m", ...more }],
});

const RIGHT: readonly unknown[] = [
  {},
  { $schema: "./config.schema.json", auto_pull: false, models_home: "~/m", log_level: "debug", queue_depth: 0 },
  { model: { path: "x.gguf" } },
  { model: { path: "x.gguf", sha256: HASH } },
  { model: { name: "inferd-tiny" } },
  { model: { name: "x", sha256: HASH, source_url: SOURCE, size_bytes: 1, license: "MIT" } },
  { model: { name: "x" } },
  { model: { name: "x", sha256: HASH } },
  { model: { name: "x", source_url: SOURCE } },
  { model: { path: "x.gguf" }, draft: { path: "y.gguf" } },
  local({ draft: { name: "inferd-tiny", sha256: HASH } }),
  { listen: { uds: "a.sock", tcp: "127.0.0.1:1", v2_tcp: "[::1]:2", rpc_addr: "/r" } },
  local({ n_ctx: 16, pooling: "cls", warm: ["a"], embed: true, parallel: 256, threads: 1, n_gpu_layers: 0 }),
  remote({ api_key_env: "KEY", timeout_secs: 0.5 }),
  remote({ proxy: "http://me:secret@proxy.example:3128" }),
  remote({ proxy: "socks5h://127.0.0.1" }),
  { backends: [{ kind: "mock", name: "m", script: { tokens: ["a"] } }, { kind: "mock", name: "n" }] },
];

const WRONG: readonly unknown[] = [
  [],
  { foo: 1 },
  { model: {} },
  { model: { path: "x", name: "y" } },
  { model: { path: "x", license: "MIT" } },
  { model: { path: "" } },
  { model: { path: "x", sha256: "zz" } },
  { model: { name: "x", size_bytes: 1 } },
  { model: { name: "x", sha256: HASH, license: "MIT" } },
  { model: { name: "../x", sha256: HASH, source_url: SOURCE } },
  { model: { name: "x", sha256: HASH, source_url: "ftp://a/x" } },
  { model: { path: "x" }, backends: [{ kind: "mock", name: "m" }] },
  { draft: { path: "y.gguf" } },
  { model: { path: "x.gguf" }, draft: { path: "y.gguf", name: "z" } },
  local({ draft: {} }),
  { backends: [] },
  { backends: [{ kind: "lama", name: "a" }] },
  local({ n_ctx: 15 }),
  local({ n_ctx: 20.5 }),
  local({ n_ctx: "20" }),
  local({ pooling: "max" }),
  local({ base_url: "http://x/v1" }),
  remote({ base_url: "ftp://x" }),
  remote({ api_key: "secret" }),
  remote({ api_key_env: "A B" }),
  remote({ timeout_secs: 0 }),
  remote({ proxy: "proxy.example:3128" }),
  remote({ proxy: "ftp://proxy.example" }),
  remote({ proxy: "" }),
  local({ proxy: "http://proxy.example:3128" }),
  { listen: { tpc: "1" } },
  { log_level: "loud" },
  { parallel: 0 },
  { api_key: "secret" },
];

Deno.test("the schema accepts what the program accepts, and refuses what it refuses", () => {
  const validate = validator();
  for (const value of RIGHT) {
    assertEquals([accepts(value), validate(value)], [true, true], `${JSON.stringify(value)} ${validate.errors}`);
  }
  for (const value of WRONG) assertEquals([accepts(value), validate(value)], [false, false], JSON.stringify(value));
});

Deno.test("every example of a configuration is valid by the schema and by the program", () => {
  const validate = validator();
  const examples = [...Deno.readDirSync(EXAMPLES)].filter(({ name }) => name.endsWith(".json"));
  assert(examples.length > 0);
  for (const { name } of examples) {
    const value = JSON.parse(Deno.readTextFileSync(new URL(name, EXAMPLES)));
    assertEquals([accepts(value), validate(value)], [true, true], `${name} ${JSON.stringify(validate.errors)}`);
  }
});

Deno.test("every key of the schema is described", () => {
  const missing: string[] = [];
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== "object" || value === null) return;
    // What has no type only says how keys go together.
    const isObject = "type" in value && value.type === "object";
    for (const [key, entry] of Object.entries(value)) {
      if (key === "properties" && isObject) {
        for (const [name, schema] of Object.entries(entry as Record<string, { description?: string }>)) {
          if (schema.description === undefined) missing.push(`${path}/${name}`);
        }
      }
      visit(entry, `${path}/${key}`);
    }
  };
  visit(JSON.parse(configSchemaText()), "");
  assertEquals(missing, []);
});
