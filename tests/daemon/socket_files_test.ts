/** Socket files that are removed under a running daemon. */
import { assertEquals } from "@std/assert";
import { daemonOptions, DaemonUnderTest } from "../support/daemons.ts";
import { untilLogged } from "../support/log_file.ts";
import { Sandbox } from "../support/program.ts";
import { ask } from "../support/serving.ts";
import { WireClient } from "../support/wire_client.ts";

Deno.test("socket files come back when somebody removes them, and open connections live on", async () => {
  await using test = await DaemonUnderTest.withMock();
  const { adminSocket, listen, rpcSocket } = test.options;
  using open = await test.infer();
  const sockets = [adminSocket, rpcSocket, listen.infer.socket, listen.v2.socket];
  const modes = sockets.map((path) => (Deno.statSync(path).mode ?? 0) & 0o777);
  for (const path of sockets) Deno.removeSync(path);
  const restored = new Set<unknown>();
  while (restored.size < sockets.length) restored.add((await test.log.next("socket_file_restored")).fields.path);
  assertEquals([...restored].sort(), [...sockets].sort());
  assertEquals(sockets.map((path) => (Deno.statSync(path).mode ?? 0) & 0o777), modes);
  using fresh = await test.infer();
  for (const client of [open, fresh]) {
    await client.send(ask({ stream: false }));
    assertEquals((await client.frame()).type, "done");
  }
  using admin = await test.admin();
  assertEquals(typeof await admin.frame(), "object");
});

Deno.test("what another process has put in the place of a socket stays, and the socket comes back when it is gone", async () => {
  await using test = await DaemonUnderTest.withMock();
  const path = test.options.listen.infer.socket;
  Deno.removeSync(path);
  const other = Deno.listen({ transport: "unix", path });
  const { ino } = Deno.statSync(path);
  assertEquals((await test.log.next("socket_not_restored")).fields.path, path);
  assertEquals(Deno.statSync(path).ino, ino);
  other.close();
  await test.log.next("socket_file_restored");
  using client = await test.infer();
  await client.send(ask({ stream: false }));
  assertEquals((await client.frame()).type, "done");
});

Deno.test("a socket comes back when its folder does", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  const socket = `${dir}/sockets/infer.sock`;
  await Deno.mkdir(`${dir}/sockets`);
  try {
    const backends = [{ kind: "mock", name: "m1", script: {} } as const];
    const runtimeDir = `${dir}/run`;
    const listen = { ...daemonOptions(dir, { runtimeDir }).listen, infer: { socket } };
    await using test = await DaemonUnderTest.start({ backends, listen, runtimeDir });
    await test.daemon.ready;
    await Deno.remove(`${dir}/sockets`, { recursive: true });
    await test.log.next("socket_not_restored");
    await Deno.mkdir(`${dir}/sockets`);
    await test.log.next("socket_file_restored");
    using client = await WireClient.connect(socket);
    await client.send(ask({ stream: false }));
    assertEquals((await client.frame()).type, "done");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("every socket file comes back when the daemon has given its permissions back", async () => {
  await using box = new Sandbox();
  const env = { INFERD_BACKEND: "mock" };
  const { stdout } = await box.run(["permissions", "serve"], { env });
  await using _daemon = await box.serve([], { env, permissions: stdout.trim().split(" ") });
  const path = `${box.dir}/logs/inferd.ndjson`;
  await untilLogged(path, "permissions_left");
  const sockets = [...Deno.readDirSync(box.runtimeDir)].map(({ name }) => name).filter((name) =>
    name.endsWith(".sock")
  );
  assertEquals(sockets.length, 6);
  for (const name of sockets) Deno.removeSync(`${box.runtimeDir}/${name}`);
  for (const name of sockets) {
    const restored = `socket_file_restored","path":"${box.runtimeDir}/${name}`;
    await untilLogged(path, restored);
  }
});
