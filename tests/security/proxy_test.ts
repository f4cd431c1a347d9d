/** Threat: a proxy that the environment names, and nobody here, reads keys and conversations, or answers in place of a server. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { connect } from "@inferd/client";
import { OpenAiServer, words } from "../support/openai_server.ts";
import { Sandbox } from "../support/program.ts";
import { PROXY_VARIABLES } from "../support/environment.ts";

const KEY = "sk-canary-0123456789";

/** What one request gives of a daemon with this backend and exactly the permissions it needs. */
async function answer(
  backend: Record<string, unknown>,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly text: string; readonly permissions: string }> {
  await using box = new Sandbox();
  const path = `${box.dir}/config.json`;
  const whole = { kind: "openai-compat", name: "far", model: "m", api_key_env: "REMOTE_KEY", ...backend };
  Deno.writeTextFileSync(path, JSON.stringify({ backends: [whole] }));
  const all = { ...env, REMOTE_KEY: KEY };
  const { stdout } = await box.run(["permissions", "daemon", "--config", path], { env: all });
  const permissions = stdout.trim();
  await using daemon = await box.serve(["--config", path], { env: all });
  await using client = await connect({ path: `${box.runtimeDir}/infer.sock` });
  const text = await client.generate({ messages: [{ role: "user", content: "my secret" }] }).text()
    .catch((error) => String(error));
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  return { text, permissions };
}

Deno.test("no key and no conversation reaches a proxy of the environment", async () => {
  await using proxy = new OpenAiServer((asked) => asked.stream(...words("from the proxy")));
  await using server = new OpenAiServer((asked) => asked.stream(...words("direct")));
  const { origin, port } = new URL(proxy.url);
  const env = Object.fromEntries(PROXY_VARIABLES.map((name) => [name, origin]));
  const { text, permissions } = await answer({ base_url: server.url }, env);
  assertEquals(text, "direct");
  assertEquals(server.asked[0]?.headers.get("authorization"), `Bearer ${KEY}`);
  const elsewhere = await answer({ base_url: "http://nowhere.invalid/v1" }, env);
  assertStringIncludes(elsewhere.text, "cannot be reached");
  assertEquals(proxy.connections, 0);
  assert(!permissions.includes(port), permissions);
});

Deno.test("a server is asked through the proxy of the configuration with exactly the permissions that are printed", async () => {
  await using proxy = new OpenAiServer((asked) => asked.stream(...words("from the proxy")));
  const { origin, host } = new URL(proxy.url);
  const { text, permissions } = await answer({ base_url: "http://nowhere.invalid/v1", proxy: origin }, {});
  assertEquals(text, "from the proxy");
  assertEquals(proxy.asked[0]?.line, "POST http://nowhere.invalid/v1/chat/completions HTTP/1.1");
  assertStringIncludes(permissions, host);
});
