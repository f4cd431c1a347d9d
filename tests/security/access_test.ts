/** Who can reach the daemon, and what is known of them. Each mitigation taken out lets its test fail. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BindError, bindTcp, bindUnix } from "../../src/server/listener.ts";
import { ask, Serving } from "../support/serving.ts";
import { nextTurn } from "../support/waiting.ts";

const KEY = "correct horse";

Deno.test("a socket is not put where a symbolic link points, so nobody chooses its place but the operator", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  try {
    await Deno.symlink(`${dir}/elsewhere.sock`, `${dir}/s.sock`);
    await assertRejects(() => bindUnix(`${dir}/s.sock`, { mode: 0o660 }), BindError, "it is a symbolic link");
    await assertRejects(() => Deno.lstat(`${dir}/elsewhere.sock`), Deno.errors.NotFound);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a live socket is never taken over", async () => {
  await using serving = await Serving.start();
  await assertRejects(() => bindUnix(serving.socketPath, { mode: 0o660 }), BindError, "in use");
  using client = await serving.connect();
  await client.send(ask({ stream: false }));
  assertEquals((await client.frame()).type, "done");
});

Deno.test("the inference socket is for its owner and its group only", async () => {
  await using serving = await Serving.start();
  assertEquals(((await Deno.stat(serving.socketPath)).mode ?? 0) & 0o777, 0o660);
});

Deno.test("TCP beyond this machine is refused without a key", () => {
  for (const hostname of ["0.0.0.0", "::", "192.0.2.1"]) {
    assertThrows(() => bindTcp({ hostname, port: 0 }, {}), BindError, "without an API key");
  }
});

Deno.test("a name that only looks like loopback is refused without a key", () => {
  for (const hostname of ["127.0.0.1.example", "localhost.example", "127.0.0.1 "]) {
    assertThrows(() => bindTcp({ hostname, port: 0 }, {}), BindError, "without an API key");
  }
});

Deno.test("nothing is served before the key, however it is asked for", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY } });
  const request = JSON.stringify(ask({ id: "1" }));
  for (const text of [`${request}\n`, `\n\n${request}\n`, `${request}\n{"type":"auth","key":"${KEY}"}\n`]) {
    using client = await serving.connectTcp();
    await client.write(text);
    assertEquals(await client.rest(), []);
  }
  assertEquals(serving.log.of("request_accepted"), []);
});

Deno.test("a client that drips its key is cut when its time is over, whatever it still sends", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY }, authTimeoutMs: 50 });
  using client = await serving.connectTcp();
  const rejected = serving.log.next("tcp_auth_rejected");
  let over = false;
  rejected.then(() => over = true);
  // Slow on purpose: that is the attack.
  while (!over) {
    await client.write(" ").catch(() => {});
    await nextTurn();
  }
  assertEquals((await rejected).fields.reason, "late");
  assertEquals(serving.log.of("tcp_auth_rejected").length, 1);
});

Deno.test("a client without a key is cut after 4 KiB, long before the cap of those who have one", async () => {
  await using serving = await Serving.start({ tcp: { apiKey: KEY } });
  using client = await serving.connectTcp();
  await client.write("x".repeat(32 * 1024));
  assertEquals(await client.rest(), []);
  assertEquals((await serving.log.next("tcp_auth_rejected")).fields.reason, "too large");
});

Deno.test(
  "the kernel's word on who connected is recorded for unix sockets",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    await using serving = await Serving.start();
    using _client = await serving.connect();
    assertEquals((await serving.log.next("connection_accepted")).fields, {
      transport: "unix",
      peer: `pid ${Deno.pid}`,
      pid: Deno.pid,
      uid: Deno.uid(),
      gid: Deno.gid(),
    });
  },
);

Deno.test("the address is recorded for TCP", async () => {
  await using serving = await Serving.start({ tcp: {} });
  using client = await serving.connectTcp();
  const { port } = client.conn.localAddr as Deno.NetAddr;
  assertEquals((await serving.log.next("connection_accepted")).fields, {
    transport: "tcp",
    peer: `127.0.0.1:${port}`,
  });
});
