/**
 * What the client does in Node. Run by `node_test.ts` in a Node process, against servers in the test's process; says
 * "done" when everything held. Arguments: socket, admin socket, TCP port, folder.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import process from "node:process";
import {
  CancelledError,
  type Client,
  ClientClosedError,
  connect,
  ConnectError,
  ConnectionClosedError,
  QueueFullError,
  SpawnError,
} from "../../client/mod.ts";

const [path = "", adminPath = "", port = "", folder = ""] = process.argv.slice(2);

async function answers(client: Client): Promise<void> {
  const texts: string[] = [];
  const generation = client.generate("tokens");
  for await (const event of generation) texts.push("text" in event ? event.text : "");
  assert.deepEqual(texts, ["Grüße ", "🦊", "Grüße 🦊"]);
  assert.deepEqual(await generation.result(), {
    text: "Grüße 🦊",
    thinking: "",
    toolCalls: [],
    usage: { promptTokens: 3, completionTokens: 2 },
    stopReason: "end_turn",
    backend: "scripted",
    toolChoiceUnsatisfied: false,
  });
  assert.equal(await client.generate("tokens").text(), "Grüße 🦊");
}

async function fails(client: Client): Promise<void> {
  await assert.rejects(() => client.generate("fail").text(), (error: unknown) => {
    assert(error instanceof QueueFullError);
    assert(error.retryable);
    assert(error.stack?.includes("node_scenario"), error.stack);
    return true;
  });
  await assert.rejects(() => client.generate("hang up").text(), ConnectionClosedError);
}

async function cancels(client: Client): Promise<void> {
  const left = client.generate("hang");
  for await (const _ of left) break;
  await assert.rejects(() => left.result(), CancelledError);

  const controller = new AbortController();
  const events = client.generate("hang", { signal: controller.signal })[Symbol.asyncIterator]();
  await events.next();
  const waiting = assert.rejects(() => events.next(), /mine/);
  controller.abort(new Error("mine"));
  await waiting;
}

async function holdsBack(client: Client): Promise<void> {
  const held = client.generate("flood")[Symbol.asyncIterator]();
  await held.next();
  // By then whoever reads ahead has read: this is the same amount again.
  assert.equal(await client.generate("flood").text(), "all");
  const sent = Number(await client.generate("how much was sent?").text());
  assert(sent < 40, `${sent} pieces went out to a reader that takes none`);
  while (!(await held.next()).done);
}

async function connects(): Promise<void> {
  const file = `${folder}/file`;
  await writeFile(file, "");
  const tried = async (options: Parameters<typeof connect>[0]): Promise<ConnectError> => {
    const error = await connect(options).then(() => undefined, (error: unknown) => error);
    assert(error instanceof ConnectError);
    return error;
  };
  const missing = await tried({ path: `${folder}/missing.sock`, timeoutMs: 0 });
  assert.deepEqual([missing.code, missing.retryable], ["ENOENT", true]);
  const noSocket = await tried({ path: file });
  assert.deepEqual([noSocket.code, noSocket.retryable], ["ENOTSOCK", false]);
  await assert.rejects(() => connect({ path: `/${"a".repeat(200)}` }), RangeError);

  const late = `${folder}/late.sock`;
  const connecting = connect({ path: late });
  await tried({ path: late, timeoutMs: 0 });
  const server = createServer().listen(late);
  await once(server, "listening");
  await (await connecting).close();
  server.close();

  process.env.INFERD_UDS = path;
  {
    await using client = await connect();
    assert.equal(client.endpoint, `unix:${path}`);
  }
}

async function spawns(): Promise<void> {
  process.env.XDG_RUNTIME_DIR = folder;
  const spawning = (command: string, args: string[]): Promise<Client> =>
    connect({ path: `${folder}/nobody.sock`, adminPath: `${folder}/nobody-admin.sock`, spawn: { command, args } });
  const failed = async (command: string, ...args: string[]): Promise<SpawnError> => {
    const error = await spawning(command, args).then(() => undefined, (error: unknown) => error);
    assert(error instanceof SpawnError);
    return error;
  };
  assert.equal((await failed(`${folder}/nothing`)).exitCode, null);
  assert.equal((await failed(process.execPath, "-e", "process.exitCode = 3")).exitCode, 3);
  assert.equal((await failed(process.execPath, "-e", "process.kill(process.pid, 'SIGKILL')")).exitCode, null);
}

async function speaksV2(client: Client): Promise<void> {
  const { text, steps } = await client.runTools("1 + 2?", {
    add: {
      description: "The sum of two numbers",
      inputSchema: {
        type: "object",
        properties: { a: { type: "number" }, b: { type: "number" } },
        required: ["a", "b"],
      },
      run: ({ a, b }) => a + b,
    },
  }).result();
  assert.deepEqual([text, steps], ["3", 2]);
  const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] } as const;
  assert.equal((await client.generateObject("Who?", { schema })).name, "Ada");
  const bytes = new Uint8Array([9, 0, 255, 1]).subarray(1);
  const generation = client.generate({
    messages: [{ role: "user", content: [{ type: "image", attachmentId: "a" }] }],
    attachments: [{ id: "a", kind: "image", mime: "image/png", bytes }],
  });
  const texts: string[] = [];
  for await (const event of generation) if (event.type === "text") texts.push("text" in event ? event.text : "");
  assert.deepEqual(texts, ["AP8B"]);
  assert.deepEqual((await client.embed(["a", "b"])).embeddings, [[0.6, 0.8], [0.6, 0.8]]);
}

async function admin(client: Client): Promise<void> {
  assert.equal((await client.admin.snapshot()).status.status, "ready");
  await client.admin.ready();
  const seen: string[] = [];
  for await (const event of client.admin.watch()) seen.push(event.status);
  assert.deepEqual(seen, ["ready", "draining"]);
}

{
  await using client = await connect({ path, adminPath });
  await answers(client);
  await fails(client);
  await cancels(client);
  await holdsBack(client);
  await speaksV2(client);
  await admin(client);
}
{
  await using client = await connect({ tcp: { port: Number(port), apiKey: "key" } });
  await answers(client);
  await cancels(client);
  const running = client.generate("hang").text();
  await client.close();
  await assert.rejects(() => running, ClientClosedError);
}
await connects();
await spawns();

// One signal for many requests: Node would warn on stderr, which has to be empty.
{
  await using client = await connect({ path });
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 20 }, () => client.generate("tokens", { signal }).text()));
}

// Closed with an answer nobody read, loops that were not finished and a request that waits: none keeps the process alive.
{
  const client = await connect({ path, adminPath, requestTimeoutMs: 60_000 });
  client.generate("hang");
  await client.generate("hang")[Symbol.asyncIterator]().next();
  await client.admin.watch()[Symbol.asyncIterator]().next();
  client.status()[Symbol.asyncIterator]().next();
  await client.close();
}

// Left open, and no reason to stay alive: the timer, which is none either, goes off only if something else is.
await (await connect({ path })).generate("tokens").text();
// deno-lint-ignore tests/no-timers -- nothing waits for it
setTimeout(() => {
  console.error("An idle client keeps the process alive");
  process.exit(1);
}, 1_000).unref();
console.log("done");
