/** `inferd http` and `serve --http` as processes, with exactly the permissions they ask for. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { modelBytes } from "../support/model_store.ts";
import { OtlpReceiver } from "../support/otlp_receiver.ts";
import { HTTP_MAIN, type Output, type Program, Sandbox } from "../support/program.ts";
import { hubOf } from "../support/pull_stores.ts";

const ANY_PORT = "127.0.0.1:0";
const SECRET = "the-prompt-that-no-log-may-have";

/** Where a bridge listens, once it says so. */
async function addressIn(stderr: Output): Promise<string> {
  const [, url = ""] = await stderr.match(/Listening on (http:\/\/\S+)/);
  return url;
}

async function chat(url: string, headers: Record<string, string> = {}): Promise<[number, string]> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers,
    body: JSON.stringify({ messages: [{ role: "user", content: SECRET }] }),
  });
  return [response.status, await response.text()];
}

/** The flags that `inferd permissions` prints. */
async function permissions(box: Sandbox, args: readonly string[]): Promise<string[]> {
  const { stdout, code } = await box.run(["permissions", ...args]);
  assertEquals(code, 0);
  return stdout.trim().split(" ");
}

function everyLog(box: Sandbox, ...outcomes: readonly { stdout: string; stderr: string }[]): string {
  const log = Deno.readTextFileSync(`${box.dir}/logs/inferd.ndjson`);
  return [log, ...outcomes.flatMap(({ stdout, stderr }) => [stdout, stderr])].join("\n");
}

Deno.test("inferd http serves with exactly its permissions, ends on SIGTERM, and no log has the prompt", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve(["--backend", "mock"]);
  const flags = await permissions(box, ["http", "--http", ANY_PORT]);
  await using bridge = box.spawn(["--http", ANY_PORT], { permissions: flags, program: HTTP_MAIN });
  const url = await addressIn(bridge.stderr);
  const [status, text] = await chat(url);
  assertEquals(status, 200);
  assertStringIncludes(text, "This is a mock answer.");
  for (const path of ["/", "/page/main.js", "/page/marked.js", "/health", "/metrics", "/v1/models", "/api/tags"]) {
    const response = await fetch(url + path);
    await response.body?.cancel();
    assertEquals(response.status, 200);
  }
  bridge.kill("SIGTERM");
  const ended = await bridge.outcome;
  assertEquals(ended.code, 0);
  daemon.kill("SIGTERM");
  const logs = everyLog(box, ended, await daemon.outcome);
  assertEquals(logs.includes(SECRET), false);
});

Deno.test("inferd http follows a daemon that comes later, and one that ends", async () => {
  await using box = new Sandbox();
  await using bridge = box.spawn(["http", "--http", ANY_PORT]);
  const url = await addressIn(bridge.stderr);
  assertEquals((await chat(url))[0], 503);
  await using daemon = await box.serve(["--backend", "mock"]);
  assertEquals((await chat(url))[0], 200);
  daemon.kill("SIGTERM");
  await daemon.outcome;
  assertEquals((await chat(url))[0], 503);
});

Deno.test("inferd http refuses to listen for other machines without a key, and says which address is taken", async () => {
  await using box = new Sandbox();
  const open = await box.run(["http", "--http", "0.0.0.0:0"]);
  assertEquals(open.code, 2);
  assertStringIncludes(open.stderr, 'Cannot listen on "0.0.0.0" without a key');
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const { code, stderr } = await box.run(["http", "--http", `127.0.0.1:${port}`]);
  assertEquals(code, 1);
  assertMatch(
    stderr,
    new RegExp(`^inferd: Cannot listen on 127.0.0.1:${port}: another program listens there\\. Stop it, or choose`),
  );
});

Deno.test("inferd http says which permissions it needs when it may not listen where it is told to", async () => {
  await using box = new Sandbox();
  const flags = await permissions(box, ["http"]);
  const { code, stderr } = await box.spawn(["--http", "127.0.0.1:47999"], { permissions: flags, program: HTTP_MAIN })
    .outcome;
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /^inferd: Cannot listen on 127\.0\.0\.1:47999: .*permission.*"inferd permissions http --http 127/,
  );
});

Deno.test("inferd http names the bridge's own module when it may not read the program's files", async () => {
  await using box = new Sandbox();
  const { code, stderr } = await box.spawn(["http"], { permissions: await permissions(box, ["http"]) }).outcome;
  assertEquals([code, stderr], [
    2,
    `inferd: Cannot load the HTTP bridge: this process may not read the program's files. Run "${HTTP_MAIN}" instead of main.ts\n`,
  ]);
});

Deno.test("inferd http may listen on localhost with exactly its permissions, and on no other name", async () => {
  await using box = new Sandbox();
  const flags = await permissions(box, ["http", "--http", "localhost:0"]);
  await using bridge = box.spawn(["--http", "localhost:0"], { permissions: flags, program: HTTP_MAIN });
  const url = await addressIn(bridge.stderr);
  assertEquals(new URL(url).hostname, "127.0.0.1");
  bridge.kill("SIGTERM");
  assertEquals((await bridge.outcome).code, 0);
  const named = await box.run(["http", "--http", "example.test:0"]);
  assertEquals(named.code, 2);
  assertStringIncludes(named.stderr, 'Cannot serve HTTP on "example.test": give the IP address');
});

/** A daemon with a bridge beside it. */
async function serveHttp(box: Sandbox, args: readonly string[] = ["--backend", "mock"]): Promise<Program> {
  const all = [...args, "--http", ANY_PORT];
  return await box.serve(all, { permissions: await permissions(box, ["serve", ...all]) });
}

Deno.test("serve --http starts the bridge with the daemon, says where it is, and ends it with the daemon", async () => {
  await using box = new Sandbox();
  await using daemon = await serveHttp(box);
  const url = await addressIn(daemon.stderr);
  assertEquals((await chat(url))[0], 200);
  await daemon.stderr.has("inferd is ready");
  daemon.kill("SIGTERM");
  const ended = await daemon.outcome;
  assertEquals(ended.code, 0);
  // The monitor starts it.
  const [, left] = /"msg":"permissions_left","left":(\[[^\]]*\])/.exec(everyLog(box, ended)) ?? [];
  assertEquals(left?.includes("run="), false);
  assertEquals(everyLog(box, ended).includes(SECRET), false);
});

Deno.test("serve --http: the bridge ends when the daemon is killed", async () => {
  await using box = new Sandbox();
  await using daemon = await serveHttp(box);
  await addressIn(daemon.stderr);
  daemon.kill("SIGKILL");
  // The bridge writes to the same pipe, which has no end while it runs.
  assertEquals((await daemon.outcome).code, 137);
});

Deno.test("serve --http: the key is asked for, and is not among the bridge's arguments", async () => {
  await using box = new Sandbox();
  const key = "a-key-for-this-test";
  await using daemon = await serveHttp(box, ["--backend", "mock", "--api-key", key]);
  const url = await addressIn(daemon.stderr);
  assertEquals((await chat(url))[0], 401);
  assertEquals((await chat(url, { Authorization: `Bearer ${key}` }))[0], 200);
  const [, pid = ""] = await daemon.stderr.match(/http_started pid=(\d+)/);
  if (Deno.build.os === "linux") {
    assertEquals(Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(key), false);
  }
});

Deno.test("serve --http: a bridge that ended is started again", async () => {
  await using box = new Sandbox();
  await using daemon = await serveHttp(box);
  await daemon.stderr.has("inferd is ready");
  const [, pid = ""] = await daemon.stderr.match(/http_started pid=(\d+)/);
  await addressIn(daemon.stderr);
  Deno.kill(Number(pid), "SIGKILL");
  const [, , second = ""] = await daemon.stderr.match(/http_started pid=(\d+)[^]*http_started pid=(\d+)/);
  const [, , url = ""] = await daemon.stderr.match(/Listening on (\S+)[^]*Listening on (\S+)/);
  assertEquals(second === pid, false);
  assertEquals((await fetch(`${url}/health`)).status, 200);
});

Deno.test("serve --http hands OpenTelemetry's variables to the bridge alone", async () => {
  await using receiver = new OtlpReceiver();
  await using box = new Sandbox();
  const args = ["--backend", "mock", "--http", ANY_PORT];
  const flags = await permissions(box, ["serve", ...args]);
  // The monitor is a Deno program with these variables too; what it prints is not for here.
  const env = { ...receiver.env, OTEL_SERVICE_NAME: "bridge-under-test", OTEL_DENO_CONSOLE: "ignore" };
  await using daemon = await box.serve(args, { env, permissions: flags });
  assertEquals((await chat(await addressIn(daemon.stderr)))[0], 200);
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  assertEquals(receiver.named("chat mock").length, 1);
  const names = receiver.bodies.flatMap((body) => body.match(/"bridge-under-test"/g) ?? []);
  assert(names.length > 0);
});

Deno.test("serve --http-pull: with exactly its permissions the bridge downloads what clients ask for", async () => {
  const content = modelBytes(5000);
  await using hub = hubOf("Some-Q4_K_M.gguf", content);
  await using box = new Sandbox();
  const args = ["--backend", "mock", "--http", ANY_PORT, "--http-pull"];
  const env = { HF_ENDPOINT: new URL(hub.url).origin, HF_TOKEN: "hf_secret", MODELS_HOME: `${box.dir}/models` };
  const { stdout } = await box.run(["permissions", "serve", ...args], { env });
  await using daemon = await box.serve(args, { env, permissions: stdout.trim().split(" ") });
  const url = await addressIn(daemon.stderr);
  const pull = async (model: string): Promise<[number, string]> => {
    const response = await fetch(`${url}/api/pull`, { method: "POST", body: JSON.stringify({ model, stream: false }) });
    return [response.status, await response.text()];
  };
  assertEquals(await pull("hf.co/owner/Some-GGUF"), [200, '{"status":"success","model":"Some-Q4_K_M"}']);
  assertEquals(Deno.statSync(`${box.dir}/models/manifests/Some-Q4_K_M.json`).isFile, true);
  assertEquals(hub.requests.map(({ headers }) => headers.get("authorization")), [
    "Bearer hf_secret",
    "Bearer hf_secret",
  ]);
  assertStringIncludes((await pull("hf.co/owner/Some-GGUF/other.gguf"))[1], "answers 404");
  const [, pid = ""] = await daemon.stderr.match(/http_started pid=(\d+)/);
  if (Deno.build.os === "linux") {
    assertEquals(Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("hf_secret"), false);
  }
  daemon.kill("SIGTERM");
  const ended = await daemon.outcome;
  assertEquals(ended.code, 0);
  assertEquals(everyLog(box, ended).includes("hf_secret"), false);
});
