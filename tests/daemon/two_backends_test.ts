/** Two remote servers behind one daemon: priority, the breaker and recovery over real sockets on both sides. */
import { admin } from "@inferd/client";
import { assertEquals } from "@std/assert";
import type { OpenAiBackendConfig } from "../../src/config/options.ts";
import { DaemonUnderTest } from "../support/daemons.ts";
import { type Answering, type Asked, chunk, OpenAiServer, words } from "../support/openai_server.ts";
import { ask } from "../support/serving.ts";
import type { WireClient } from "../support/wire_client.ts";

/** How long a breaker stays open, in milliseconds. */
const OPEN_MS = 30_000;

const healthy: Answering = (asked) => asked.stream(...words("well"));
const failing: Answering = (asked) => asked.json(503, { error: { message: "down", type: "server_error" } });

function remote(name: string, server: OpenAiServer): OpenAiBackendConfig {
  return { kind: "openai-compat", name, baseUrl: server.url, model: "big", timeoutSecs: 60 };
}

/** A daemon with two remote backends, `first` before `second`, and the clock of its breakers. */
class Pair implements AsyncDisposable {
  readonly first = new OpenAiServer(healthy);
  readonly second = new OpenAiServer(healthy);
  /** What the breakers take for the time. */
  nowMs = 0;
  #daemon: DaemonUnderTest | undefined;

  static async start(): Promise<Pair> {
    const pair = new Pair();
    pair.#daemon = await DaemonUnderTest.start(
      { backends: [remote("first", pair.first), remote("second", pair.second)] },
      { now: () => pair.nowMs },
    );
    await pair.daemon.daemon.ready;
    return pair;
  }

  get daemon(): DaemonUnderTest {
    if (this.#daemon === undefined) throw new Error("The daemon has not been started");
    return this.#daemon;
  }

  /** Ask once, over a connection of its own: which backend answered, or the code of the error. */
  async outcome(): Promise<unknown> {
    using client = await this.daemon.infer();
    return await outcomeOf(client);
  }

  /** Ask so often that the first one's breaker opens. */
  async open(): Promise<void> {
    this.first.answering = failing;
    for (let failure = 0; failure < 3; failure++) assertEquals(await this.outcome(), "backend_unavailable");
    await this.daemon.log.next("breaker_opened");
    assertEquals(await this.breakers(), ["open", "closed"]);
  }

  /** As the admin socket tells them. */
  async breakers(): Promise<unknown[]> {
    const { capabilities } = await admin({ path: this.daemon.options.adminSocket }).snapshot();
    return capabilities.map(({ breaker }) => breaker);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    await this.first[Symbol.asyncDispose]();
    await this.second[Symbol.asyncDispose]();
  }
}

async function outcomeOf(client: WireClient): Promise<unknown> {
  await client.send(ask({ stream: false }));
  const { type, backend, code } = await client.frame();
  return type === "done" ? backend : code;
}

Deno.test("requests go to the first backend while it is well, whatever the second one is", async () => {
  await using pair = await Pair.start();
  for (let count = 0; count < 3; count++) assertEquals(await pair.outcome(), "first");
  assertEquals([pair.first.asked.length, pair.second.asked.length], [3, 0]);
});

Deno.test("requests go to the second backend when the first has failed three times, and no request is tried twice", async () => {
  await using pair = await Pair.start();
  await pair.open();
  for (let count = 0; count < 3; count++) assertEquals(await pair.outcome(), "second");
  pair.nowMs = OPEN_MS - 1;
  assertEquals(await pair.outcome(), "second");
  assertEquals([pair.first.asked.length, pair.second.asked.length], [3, 4]);
});

Deno.test("an open breaker lets one trial through after its time, and closes when that goes well", async () => {
  await using pair = await Pair.start();
  await pair.open();
  pair.first.answering = undefined;
  pair.nowMs = OPEN_MS;
  const trial = pair.outcome();
  const asked = await pair.first.next();
  assertEquals(await pair.outcome(), "second");
  await asked.stream(...words("well"));
  assertEquals(await trial, "first");
  await pair.daemon.log.next("breaker_closed");
  pair.first.answering = healthy;
  assertEquals(await pair.outcome(), "first");
});

Deno.test("an open breaker stays open for its time again when the trial fails", async () => {
  await using pair = await Pair.start();
  await pair.open();
  pair.nowMs = OPEN_MS;
  assertEquals(await pair.outcome(), "backend_unavailable");
  pair.first.answering = healthy;
  pair.nowMs = 2 * OPEN_MS - 1;
  assertEquals(await pair.outcome(), "second");
  pair.nowMs = 2 * OPEN_MS;
  assertEquals(await pair.outcome(), "first");
});

Deno.test("a trial that is cancelled proves nothing: the next request is the trial", async () => {
  await using pair = await Pair.start();
  await pair.open();
  pair.first.answering = undefined;
  pair.nowMs = OPEN_MS;
  const client = await pair.daemon.infer();
  await client.send(ask());
  const asked = await pair.first.next();
  client.close();
  await asked.closed;
  await pair.daemon.log.next("request_cancelled");
  pair.first.answering = healthy;
  assertEquals(await pair.outcome(), "first");
});

Deno.test("every failure of a server counts, whatever it is", async () => {
  await using pair = await Pair.start();
  const failures: Answering[] = [
    (asked) => asked.json(429, {}),
    (asked) => asked.cut(),
    async (asked: Asked): Promise<void> => {
      await asked.head();
      await asked.say(chunk({ content: "half" }));
      asked.cut();
    },
  ];
  for (const failure of failures) {
    pair.first.answering = failure;
    assertEquals(await pair.outcome(), "backend_unavailable");
  }
  assertEquals(await pair.outcome(), "second");
});

Deno.test("requests go to the second backend when the first is not there at all", async () => {
  await using pair = await Pair.start();
  pair.first.close();
  for (let count = 0; count < 3; count++) assertEquals(await pair.outcome(), "backend_unavailable");
  assertEquals(await pair.outcome(), "second");
});

Deno.test("a caller's own faults open no breaker", async () => {
  await using pair = await Pair.start();
  pair.first.answering = (asked) => asked.json(400, { error: { message: "too long" } });
  for (let count = 0; count < 5; count++) assertEquals(await pair.outcome(), "invalid_request");
  pair.first.answering = healthy;
  assertEquals(await pair.outcome(), "first");
  assertEquals(pair.second.asked.length, 0);
});

Deno.test("no backend is available when the breakers of both are open", async () => {
  await using pair = await Pair.start();
  await pair.open();
  pair.second.answering = failing;
  for (let count = 0; count < 3; count++) assertEquals(await pair.outcome(), "backend_unavailable");
  assertEquals(await pair.outcome(), "backend_unavailable");
  assertEquals([pair.first.asked.length, pair.second.asked.length], [3, 3]);
});

Deno.test("a slow server takes no place of a local model, and has as many places of its own", async () => {
  await using server = new OpenAiServer();
  const backends = [{ kind: "mock", name: "local", script: {} } as const, remote("far", server)];
  await using daemon = await DaemonUnderTest.start({ backends, parallel: 1, queueDepth: 0 });
  await daemon.daemon.ready;
  const messages = [{ role: "user", content: [{ type: "text", text: "hello" }] }];
  const far = { messages, stream: false, model: "far" };
  using slow = await daemon.surface("v2");
  await slow.send(far);
  const asked = await server.next();
  using local = await daemon.infer();
  assertEquals(await outcomeOf(local), "local");
  using second = await daemon.surface("v2");
  await second.send(far);
  assertEquals((await second.frame()).code, "queue_full");
  await asked.stream(...words("at last"));
  assertEquals((await slow.frame()).code, undefined);
});

Deno.test("the server's side is closed when the client of the daemon goes", async () => {
  await using pair = await Pair.start();
  pair.first.answering = undefined;
  const client = await pair.daemon.infer();
  await client.send(ask());
  const asked = await pair.first.next();
  await asked.head();
  await asked.say(chunk({ content: "a" }));
  assertEquals((await client.frame()).content, "a");
  client.close();
  await asked.closed;
  await pair.daemon.log.next("request_cancelled");
});

Deno.test("neither the key nor what a server said gets into the daemon's log", async () => {
  const key = "not-for-the-log";
  const prompt = "what was asked";
  await using server = new OpenAiServer((asked) =>
    asked.json(500, { error: { message: `${prompt} ${asked.headers.get("authorization")}`, code: key } })
  );
  const backends = [{ ...remote("far", server), apiKey: key }];
  await using daemon = await DaemonUnderTest.start({ backends });
  await daemon.daemon.ready;
  using client = await daemon.infer();
  for (const code of ["backend_unavailable", "backend_unavailable"]) assertEquals(await outcomeOf(client), code);
  server.answering = (asked) => asked.cut();
  assertEquals(await outcomeOf(client), "backend_unavailable");
  await daemon.log.next("remote_broken");
  const log = JSON.stringify(daemon.log.records);
  assertEquals([log.includes(key), log.includes(prompt)], [false, false]);
});

Deno.test("a request of nothing but defaults is served by a server that takes OpenAI's fields only", async () => {
  const known = ["model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens"];
  await using pair = await Pair.start();
  pair.first.answering = (asked): Promise<void> => {
    const unknown = Object.keys(asked.body).filter((field) => !known.includes(field));
    return unknown.length === 0
      ? asked.stream(...words("well"))
      : asked.json(400, { error: { message: `${unknown}` } });
  };
  assertEquals(await pair.outcome(), "first");
});
