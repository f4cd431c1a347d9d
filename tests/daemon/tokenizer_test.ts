/** Tokens, counts and prompts over real sockets, by the client and by dispatch. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Client, connect, dispatch, InvalidRequestError } from "@inferd/client";
import { DaemonUnderTest } from "../support/daemons.ts";
import { OpenAiServer } from "../support/openai_server.ts";

const MESSAGES = [{ role: "user", content: "one two three" }] as const;

async function v2Client({ options }: DaemonUnderTest): Promise<Client> {
  return await connect({ path: options.listen.infer.socket, paths: { v2: options.listen.v2.socket }, surface: "v2" });
}

Deno.test("tokenizer requests are answered while every place is taken", async () => {
  const backends = [{ kind: "mock", name: "mock", script: { tokens: ["a", "b"], hangAt: 1 } }] as const;
  await using daemon = await DaemonUnderTest.start({ backends, parallel: 1, queueDepth: 0 });
  await daemon.daemon.ready;
  await using client = await v2Client(daemon);
  const running = client.generate({ messages: MESSAGES, thinking: false });
  const events = running[Symbol.asyncIterator]();
  await events.next();
  const error = await client.generate({ messages: MESSAGES, thinking: false }).text().catch((error) => error);
  assertEquals(error.code, "queue_full");

  assertEquals(await client.tokenize("hi"), [104, 105]);
  assertEquals(await client.detokenize([104, 105]), "hi");
  assertEquals(await client.tokenBytes([104, 233]), [new Uint8Array([104]), new Uint8Array([195, 169])]);
  assertEquals(await client.tokenBytes([]), []);
  assertEquals(await client.countTokens({ messages: MESSAGES }), 3);
  assertEquals(await client.applyTemplate({ messages: MESSAGES }), "user: one two three\n");
  await events.return?.();
});

Deno.test("dispatch tokenizes and counts", async () => {
  await using daemon = await DaemonUnderTest.start();
  await daemon.daemon.ready;
  const path = daemon.options.rpcSocket;
  const { servedConfigId } = await dispatch("config_id()", { path });
  assert(servedConfigId !== null);
  const ops = `tokenize(text="hi"); count(messages=${JSON.stringify(MESSAGES)})`;
  const { results } = await dispatch(ops, { path, configId: servedConfigId });
  assertEquals(results, [
    { ok: true, value: { tokens: [104, 105], model: "mock", backend: "mock" } },
    { ok: true, value: { input_tokens: 3, model: "mock", backend: "mock" } },
  ]);
});

Deno.test("a remote backend says that it does not know its model's tokens", async () => {
  await using server = new OpenAiServer((asked) => asked.json(500, {}));
  const far = { kind: "openai-compat", name: "far", baseUrl: server.url, model: "m", timeoutSecs: 5 } as const;
  await using daemon = await DaemonUnderTest.start({ backends: [far] });
  await daemon.daemon.ready;
  await using client = await v2Client(daemon);
  await assertRejects(
    () => client.countTokens({ messages: MESSAGES }),
    InvalidRequestError,
    '"count" cannot be answered by backend "far": it does not know its model\'s tokens',
  );
  assertEquals(server.asked.length, 0);
});
