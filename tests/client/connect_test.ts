import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  type Client,
  ClientClosedError,
  connect,
  ConnectError,
  ConnectionClosedError,
  QueueFullError,
  TimeoutError,
} from "@inferd/client";
import { answering, done, failed, once, Scratch, type Script, ScriptedServer, token } from "./support.ts";

Deno.test("connect waits for a socket that is not there yet", async () => {
  await using scratch = new Scratch();
  const path = scratch.path();
  const connecting = connect({ path });
  // Started later, so that the first attempt of the other is over when this one is.
  const error = await assertRejects(() => connect({ path, timeoutMs: 0 }), ConnectError, "there is no such socket");
  assertEquals([error.retryable, error.code, error.endpoint], [true, "ENOENT", `unix:${path}`]);
  await using _server = new ScriptedServer(answering("x"), { path });
  await using client = await connecting;
  assertEquals(client.endpoint, `unix:${path}`);
  assertEquals(await client.generate("hi").text(), "x");
});

Deno.test("connect waits when nothing listens behind the socket", async () => {
  await using scratch = new Scratch();
  const path = scratch.path();
  // What a daemon that was killed leaves behind. Renamed, it outlives its listener.
  const listener = Deno.listen({ transport: "unix", path: scratch.path("first") });
  await Deno.rename(scratch.path("first"), path);
  listener.close();
  const connecting = connect({ path });
  const error = await assertRejects(() => connect({ path, timeoutMs: 0 }), ConnectError, "nothing listens there");
  assertEquals([error.retryable, error.code], [true, "ECONNREFUSED"]);
  await Deno.remove(path);
  await using _server = new ScriptedServer(answering("x"), { path });
  await using _client = await connecting;
});

for (
  const [what, prepare, code] of [
    ["is a file", (path: string) => Deno.writeTextFile(path, ""), "ENOTSOCK"],
    ["is a directory", (path: string) => Deno.mkdir(path), "ENOTSOCK"],
  ] as const
) {
  Deno.test(`connect fails at once when the path ${what}`, async () => {
    await using scratch = new Scratch();
    await prepare(scratch.path());
    const error = await assertRejects(() => connect({ path: scratch.path() }), ConnectError, "it is not a socket");
    assertEquals([error.retryable, error.code], [false, code]);
    assertStringIncludes(error.stack ?? "", "connect_test.ts");
  });
}

Deno.test("connect fails at once when a part of the path is a file", async () => {
  await using scratch = new Scratch();
  await Deno.writeTextFile(scratch.path("file"), "");
  const error = await assertRejects(() => connect({ path: scratch.path("file/infer.sock") }), ConnectError);
  assertEquals([error.retryable, error.code], [false, "ENOTDIR"]);
});

Deno.test({
  name: "connect fails at once when permission is denied",
  // Root is denied nothing.
  ignore: Deno.build.os === "windows" || Deno.uid() === 0,
  async fn(): Promise<void> {
    await using scratch = new Scratch();
    await using _server = new ScriptedServer(answering("x"), { path: scratch.path() });
    await Deno.chmod(scratch.path(), 0o000);
    const error = await assertRejects(() => connect({ path: scratch.path() }), ConnectError, "permission denied");
    assertEquals([error.retryable, error.code], [false, "EACCES"]);
  },
});

Deno.test({
  name: "connect fails at once when Deno was not given the permission",
  permissions: { net: false, read: false, write: false },
  async fn(): Promise<void> {
    const error = await assertRejects(() => connect({ path: "/tmp/infer.sock" }), ConnectError, "Requires ");
    assertEquals(error.retryable, false);
  },
});

Deno.test("connect rejects options that contradict each other or cannot be", async () => {
  const wrong: [() => Promise<unknown>, typeof Error, string][] = [
    [() => connect({ path: "/x", tcp: {} }), TypeError, 'Cannot combine "path" with "tcp"'],
    [() => connect({ tcp: {}, paths: {} }), TypeError, 'Cannot combine "paths" with "tcp"'],
    [() => connect({ path: "/x", paths: { embed: "" } }), TypeError, "socket path"],
    [() => connect({ path: "" }), TypeError, "socket path"],
    [() => connect({ path: "/a\0b" }), TypeError, "NUL"],
    [() => connect({ path: "/" + "ü".repeat(60) }), RangeError, "121 bytes, at most"],
    [() => connect({ tcp: { port: 0 } }), RangeError, "port 0"],
    [() => connect({ tcp: { port: 1.5 } }), RangeError, "port 1.5"],
    [() => connect({ tcp: { hostname: "" } }), TypeError, "hostname"],
    [() => connect({ tcp: { apiKey: "" } }), TypeError, "apiKey"],
    [() => connect({ path: "/x", timeoutMs: -1 }), RangeError, "-1 ms"],
    [() => connect({ path: "/x", timeoutMs: NaN }), RangeError, "NaN ms"],
  ];
  for (const [attempt, type, text] of wrong) await assertRejects(attempt, type, text);
});

Deno.test("connect gives up with TimeoutError, which has the last failure as its cause", async () => {
  await using scratch = new Scratch();
  const error = await assertRejects(() => connect({ path: scratch.path(), timeoutMs: 20 }), TimeoutError);
  assertEquals((error.cause as ConnectError).code, "ENOENT");
  assertStringIncludes(error.message, `Cannot reach a daemon at "unix:${scratch.path()}" within 20 ms: Cannot connect`);
  assertStringIncludes(error.stack ?? "", "connect_test.ts");
});

Deno.test("connect gives up with the signal's reason", async () => {
  await using scratch = new Scratch();
  const controller = new AbortController();
  const connecting = connect({ path: scratch.path(), signal: controller.signal });
  await assertRejects(() => connect({ path: scratch.path(), timeoutMs: 0 }), ConnectError);
  controller.abort(new Error("mine"));
  await assertRejects(() => connecting, Error, "mine");
  const { signal } = controller;
  await assertRejects(() => connect({ path: scratch.path(), signal }), Error, "mine");
});

Deno.test("connect presents the API key as the first line over TCP, on every connection", async () => {
  const first: (string | null)[] = [];
  const script: Script = async (peer, index) => {
    first.push(await peer.line());
    await answering("x")(peer, index);
  };
  await using server = new ScriptedServer(script, { port: 0 });
  await using client = await connect({ tcp: { port: server.port, apiKey: 'se"cret' } });
  assertEquals(client.endpoint, `tcp:127.0.0.1:${server.port}`);
  assertEquals(await Promise.all([client.generate("a").text(), client.generate("b").text()]), ["x", "x"]);
  assertEquals(first, Array(2).fill('{"type":"auth","key":"se\\"cret"}'));
});

Deno.test("connect sends no first line of its own over TCP without API key", async () => {
  await using server = new ScriptedServer(answering("x"), { port: 0 });
  await using client = await connect({ tcp: { hostname: "localhost", port: server.port } });
  assertEquals(await client.generate("hi").text(), "x");
});

Deno.test("generate throws ConnectionClosedError that names the API key when it is wrong", async () => {
  // The daemon closes without a byte.
  const script: Script = async (peer) => void await peer.line();
  await using server = new ScriptedServer(script, { port: 0 });
  await using client = await connect({ tcp: { port: server.port, apiKey: "wrong" }, maxRetries: 0 });
  const error = await assertRejects(() => client.generate("hi").text(), ConnectionClosedError, "wrong API key");
  assert(!error.message.includes('"wrong"'));
  assertEquals(server.accepted, 2);
});

Deno.test("connect fails over TCP when nothing listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await assertRejects(() => connect({ tcp: { port }, timeoutMs: 0 }), ConnectError, "nothing listens");
  assertEquals([error.retryable, error.code, error.endpoint], [true, "ECONNREFUSED", `tcp:127.0.0.1:${port}`]);
});

Deno.test("requests one after the other share a connection", async () => {
  await using scratch = new Scratch();
  await using server = new ScriptedServer(answering("x"), { path: scratch.path() });
  await using client = await connect({ path: scratch.path(), maxRetries: 0 });
  for (let i = 0; i < 5; i++) assertEquals(await client.generate("hi").text(), "x");
  assertEquals(server.accepted, 1);
});

Deno.test("requests at the same time have connections of their own, which are kept for later", async () => {
  await using scratch = new Scratch();
  const all = Promise.withResolvers<void>();
  let waiting = 0;
  const script: Script = async (peer, index) => {
    const { id } = await peer.request();
    if (++waiting === 3) all.resolve();
    await all.promise;
    await peer.send(done(id, "x"));
    await answering("y")(peer, index);
  };
  await using server = new ScriptedServer(script, { path: scratch.path() });
  await using client = await connect({ path: scratch.path(), maxRetries: 0 });
  const ask = (): Promise<string[]> => Promise.all([1, 2, 3].map(() => client.generate("hi").text()));
  assertEquals(await ask(), ["x", "x", "x"]);
  assertEquals(await ask(), ["y", "y", "y"]);
  assertEquals(server.accepted, 3);
});

Deno.test("an answered error keeps the connection", async () => {
  await using scratch = new Scratch();
  const script: Script = async (peer, index) => {
    await peer.send(failed((await peer.request()).id, "queue_full"));
    await answering("x")(peer, index);
  };
  await using server = new ScriptedServer(script, { path: scratch.path() });
  await using client = await connect({ path: scratch.path(), maxRetries: 0 });
  await assertRejects(() => client.generate("hi").text(), QueueFullError);
  assertEquals(await client.generate("hi").text(), "x");
  assertEquals(server.accepted, 1);
});

for (
  const [what, extra] of [
    ["an error that names no request", (_id: string) => [failed("", "invalid_request")]],
    ["a frame after the last one", (id: string) => [done(id, "a"), token(id, "b")]],
  ] as const
) {
  Deno.test(`a connection is not used again after ${what}`, async () => {
    await using scratch = new Scratch();
    const script: Script = async (peer, index) => {
      if (index > 0) return await answering("x")(peer, index);
      await once((id) => peer.send(...extra(id)))(peer, index);
    };
    await using server = new ScriptedServer(script, { path: scratch.path() });
    await using client = await connect({ path: scratch.path(), maxRetries: 0 });
    await client.generate("hi").text().catch(() => {});
    assertEquals(await client.generate("hi").text(), "x");
    assertEquals(server.accepted, 2);
  });
}

Deno.test("connections left over from a daemon that was started again are replaced", async () => {
  await using scratch = new Scratch();
  const path = scratch.path();
  await using client = await (async () => {
    await using _server = new ScriptedServer(answering("old"), { path });
    const client = await connect({ path, maxRetries: 0 });
    await Promise.all([client.generate("a").text(), client.generate("b").text()]);
    return client;
  })();
  await Deno.remove(path).catch(() => {}); // Some versions of Deno remove it when the listener is closed.
  await using server = new ScriptedServer(answering("new"), { path });
  assertEquals(await client.generate("hi").text(), "new");
  assertEquals(await Promise.all([client.generate("a").text(), client.generate("b").text()]), ["new", "new"]);
  assertEquals(server.accepted, 2);
});

Deno.test("a request whose connection died after a byte of the answer is not sent again", async () => {
  await using scratch = new Scratch();
  let requests = 0;
  const script: Script = async (peer) => {
    for (;;) {
      const { id } = await peer.request();
      requests++;
      if (requests === 2) return void await peer.write("{");
      await peer.send(done(id, "x"));
    }
  };
  await using server = new ScriptedServer(script, { path: scratch.path() });
  await using client = await connect({ path: scratch.path(), maxRetries: 0 });
  await client.generate("hi").text();
  await assertRejects(() => client.generate("hi").text(), ConnectionClosedError);
  assertEquals([requests, server.accepted], [2, 1]);
});

Deno.test("a request is sent a second time only once", async () => {
  await using scratch = new Scratch();
  let requests = 0;
  const script: Script = async (peer) => {
    const { id } = await peer.request();
    if (++requests === 1) {
      await peer.send(done(id, "x"));
      await peer.request();
    }
  };
  await using server = new ScriptedServer(script, { path: scratch.path() });
  await using client = await connect({ path: scratch.path(), maxRetries: 0 });
  await client.generate("hi").text();
  await assertRejects(() => client.generate("hi").text(), ConnectionClosedError);
  assertEquals([requests, server.accepted], [2, 2]);
});

Deno.test("generate throws ConnectError when the daemon is gone for good", async () => {
  await using scratch = new Scratch();
  await using client = await (async () => {
    await using _server = new ScriptedServer(answering("x"), { path: scratch.path() });
    return await connect({ path: scratch.path() });
  })();
  const error = await assertRejects(() => client.generate("hi").text(), ConnectError);
  assertEquals(error.retryable, true);
  assertStringIncludes(error.stack ?? "", "connect_test.ts");
});

Deno.test("close cancels what runs, resolves closed, and is final", async () => {
  await using scratch = new Scratch();
  const gone = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(token(id, "a"));
    await peer.gone();
    gone.resolve();
  });
  await using _server = new ScriptedServer(script, { path: scratch.path() });
  const client = await connect({ path: scratch.path() });
  const running = client.generate("hi");
  const events = running[Symbol.asyncIterator]();
  await events.next();
  const waiting = assertRejects(() => events.next(), ClientClosedError, "The client was closed");
  await client.close();
  await client.closed;
  await waiting;
  await gone.promise;
  await assertRejects(() => running.result(), ClientClosedError);
  assertThrows(() => client.generate("hi"), ClientClosedError, "the client is closed");
  await client.close();
  await client.drain();
});

Deno.test("close right after asking closes the connections that were idle or just being made", async () => {
  await using scratch = new Scratch();
  await using server = new ScriptedServer((peer) => peer.gone(), { path: scratch.path() });
  const client = await connect({ path: scratch.path() });
  const running = [client.generate("a"), client.generate("b")];
  await client.close();
  for (const generation of running) await assertRejects(() => generation.text(), ClientClosedError);
  await server.idle();
});

Deno.test("drain lets running answers finish and takes no new ones", async () => {
  await using scratch = new Scratch();
  const goOn = Promise.withResolvers<void>();
  const script = once(async (id, peer) => {
    await peer.send(token(id, "a"));
    await goOn.promise;
    await peer.send(done(id, "ab"));
  });
  await using _server = new ScriptedServer(script, { path: scratch.path() });
  const client = await connect({ path: scratch.path() });
  const running = client.generate("hi");
  const text = running.text();
  const drained = client.drain();
  assertThrows(() => client.generate("hi"), ClientClosedError, "draining");
  let closed = false;
  void client.closed.then(() => closed = true);
  await Promise.resolve();
  assertEquals(closed, false);
  goOn.resolve();
  assertEquals(await text, "ab");
  await drained;
  await client.closed;
});

Deno.test("await using closes the client", async () => {
  await using scratch = new Scratch();
  const gone = Promise.withResolvers<void>();
  const script: Script = async (peer) => {
    await peer.gone();
    gone.resolve();
  };
  await using _server = new ScriptedServer(script, { path: scratch.path() });
  let left: Client;
  {
    await using client = await connect({ path: scratch.path() });
    left = client;
  }
  await gone.promise;
  assertThrows(() => left.generate("hi"), ClientClosedError);
});
