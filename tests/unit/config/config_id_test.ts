/** What a `config_id` is made of. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { configId, type IdentifiedBackend, type IdentifiedConfig } from "../../../src/config/config_id.ts";

const LLAMA = {
  kind: "llamacpp",
  name: "llamacpp",
  modelSha256: "5e8af1a3d5caceb318d9cc27a5f0644f49d212f9a8e3e0ea4fd74a8d1e02806f",
  contextTokens: 8192,
  parallel: 4,
  embed: false,
} as const;
const REMOTE = { kind: "openai-compat", name: "remote", baseUrl: "https://host/v1", model: "m" } as const;
const MOCK = { kind: "mock", name: "mock", script: { tokens: ["a", "b"], delayMs: 1 } } as const;

const CONFIG: IdentifiedConfig = { backends: [LLAMA, REMOTE, MOCK], parallel: 4, queueDepth: 10 };

Deno.test("the config_id of a configuration is the same one for ever", async () => {
  // A change here is a new version of the rules: clients elsewhere hold ids made by the old ones.
  assertEquals(await configId(CONFIG), "1-c1a1e43ff664591ec9ebeee9662f332ebfbe97a536c23f30cac25fa4a3b148d1");
});

Deno.test("the config_id is the SHA-256 of the documented JSON", async () => {
  const text = '{"backends":[' +
    '{"embed":false,"kind":"llamacpp",' +
    '"model":"sha256:5e8af1a3d5caceb318d9cc27a5f0644f49d212f9a8e3e0ea4fd74a8d1e02806f",' +
    '"n_ctx":8192,"name":"llamacpp","parallel":4,"pooling":null},' +
    '{"base_url":"https://host/v1","kind":"openai-compat","model":"m","name":"remote"},' +
    '{"kind":"mock","name":"mock","script":{"delayMs":1,"tokens":["a","b"]}}],' +
    '"limits":{"parallel":4,"queue_depth":10},"protocol":1}';
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  assertEquals(await configId(CONFIG), `1-${new Uint8Array(digest).toHex()}`);
});

Deno.test("the config_id does not depend on the order of keys", async () => {
  const script = { delayMs: 1, tokens: ["a", "b"] };
  const { parallel, name, ...rest } = LLAMA;
  const backends: IdentifiedBackend[] = [{ parallel, ...rest, name }, REMOTE, { script, name: "mock", kind: "mock" }];
  assertEquals(await configId({ queueDepth: 10, parallel: 4, backends }), await configId(CONFIG));
});

const ONE = { ...CONFIG, backends: [LLAMA] };
const OTHERS: readonly (readonly [string, IdentifiedConfig, IdentifiedConfig?])[] = [
  ["a model has another hash", { ...ONE, backends: [{ ...LLAMA, modelSha256: "0".repeat(64) }] }, ONE],
  ["a model has another context", { ...ONE, backends: [{ ...LLAMA, contextTokens: 4096 }] }, ONE],
  ["a backend has another name", { ...ONE, backends: [{ ...LLAMA, name: "other" }] }, ONE],
  ["a backend decodes more together", { ...ONE, backends: [{ ...LLAMA, parallel: 5 }] }, ONE],
  ["a backend embeds", { ...ONE, backends: [{ ...LLAMA, embed: true }] }, ONE],
  ["a pooling is set", { ...ONE, backends: [{ ...LLAMA, pooling: "mean" }] }, ONE],
  ["there is one more backend", CONFIG, ONE],
  ["the order is another", { ...CONFIG, backends: [REMOTE, LLAMA, MOCK] }],
  ["a remote model is another", { ...CONFIG, backends: [LLAMA, { ...REMOTE, model: "n" }, MOCK] }],
  ["a remote server is another", { ...CONFIG, backends: [LLAMA, { ...REMOTE, baseUrl: "https://h/v1" }, MOCK] }],
  ["a script is another", { ...CONFIG, backends: [LLAMA, REMOTE, { ...MOCK, script: {} }] }],
  ["more requests are served together", { ...CONFIG, parallel: 5 }],
  ["more requests may wait", { ...CONFIG, queueDepth: 11 }],
];

for (const [what, one, other = CONFIG] of OTHERS) {
  Deno.test(`the config_id is another when ${what}`, async () => {
    assertNotEquals(await configId(one), await configId(other));
  });
}

Deno.test("the config_id orders keys by their UTF-16 units at every depth and leaves out what is not set", async () => {
  const input = { b: [{ z: 1, a: undefined, Z: null }], "10": 1, "9": "ü", a: { é: 1, e: -0.5 } };
  const script = { calls: [{ name: "t", input }] };
  const text = '{"backends":[{"kind":"mock","name":"m","script":{"calls":[{"input":' +
    '{"10":1,"9":"ü","a":{"e":-0.5,"é":1},"b":[{"Z":null,"z":1}]},"name":"t"}]}}],' +
    '"limits":{"parallel":4,"queue_depth":10},"protocol":1}';
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const id = await configId({ ...CONFIG, backends: [{ kind: "mock", name: "m", script }] });
  assertEquals(id, `1-${new Uint8Array(digest).toHex()}`);
});
