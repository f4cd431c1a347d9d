import { assertEquals } from "@std/assert";
import { MonitorLink } from "../../../src/processes/monitor_link.ts";
import { MonitoredProcess } from "../../../src/processes/monitored_process.ts";
import { PrivateSocket } from "../../../src/processes/private_socket.ts";
import { Peers } from "../../../src/server/peer.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

Deno.test("MonitoredProcess keeps no connection of a process that ended while it was identified", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  const log = new LogRecorder();
  const path = `${dir}/engine.sock`;
  using peers = Peers.open(log);
  using socket = new PrivateSocket({ path, peers, uid: Deno.uid(), log });
  const pipe = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
  const reports = pipe.writable.getWriter();
  const ordered = Promise.withResolvers<void>();
  const write = (bytes: Uint8Array): number => (ordered.resolve(), bytes.length);
  const link = new MonitorLink({ input: pipe.readable, write });
  const process = new MonitoredProcess<never, never>("engine", { onMessage: () => {}, onStderr: () => {} }, {
    link,
    socket,
  });
  await ordered.promise;
  using conn = await Deno.connect({ transport: "unix", path });
  await conn.write(new TextEncoder().encode("1\n"));
  // Its number has been read: whoever connects later is refused after it.
  using other = await Deno.connect({ transport: "unix", path });
  await other.write(new TextEncoder().encode("2\n"));
  await log.next("connection_refused");
  const told = [{ number: 1, pid: Deno.pid }, { number: 1, code: 1, signal: null }];
  await reports.write(new TextEncoder().encode(told.map((report) => `${JSON.stringify(report)}\n`).join("")));
  assertEquals((await process.exited).code, 1);
  assertEquals(await conn.read(new Uint8Array(1)), null);
  await reports.close();
  await link.gone;
  await Deno.remove(dir, { recursive: true });
});
