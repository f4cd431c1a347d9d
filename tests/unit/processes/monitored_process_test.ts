import { assertEquals } from "@std/assert";
import { MonitorLink } from "../../../src/processes/monitor_link.ts";
import { MonitoredProcess } from "../../../src/processes/monitored_process.ts";
import { PrivateSocket } from "../../../src/processes/private_socket.ts";
import { Peers } from "../../../src/server/peer.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

/** A monitor that reports what a test says, and the private socket where its processes connect. */
class Monitor implements AsyncDisposable {
  readonly log: LogRecorder;
  readonly path: string;
  readonly link: MonitorLink;
  readonly socket: PrivateSocket;
  /** Resolves with the first order. */
  readonly ordered: Promise<void>;
  readonly #dir: string;
  readonly #peers: Peers | undefined;
  readonly #reports: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  private constructor(dir: string) {
    this.#dir = dir;
    this.path = `${dir}/engine.sock`;
    this.log = new LogRecorder();
    this.#peers = Peers.open(this.log);
    this.socket = new PrivateSocket({ path: this.path, peers: this.#peers, uid: Deno.uid(), log: this.log });
    const pipe = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
    this.#reports = pipe.writable.getWriter();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ordered = promise;
    const write = (bytes: Uint8Array): number => (resolve(), bytes.length);
    this.link = new MonitorLink({ input: pipe.readable, write });
  }

  static async start(): Promise<Monitor> {
    return new Monitor(await Deno.makeTempDir({ prefix: "inferd-" }));
  }

  async report(...reports: readonly unknown[]): Promise<void> {
    const lines = reports.map((report) => `${JSON.stringify(report)}\n`).join("");
    await this.#reports.write(new TextEncoder().encode(lines));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reports.close();
    await this.link.gone;
    this.socket[Symbol.dispose]();
    this.#peers?.[Symbol.dispose]();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

Deno.test("MonitoredProcess keeps no connection of a process that ended while it was identified", async () => {
  await using monitor = await Monitor.start();
  const { path, log } = monitor;
  const process = new MonitoredProcess<never, never>("engine", { onMessage: () => {}, onStderr: () => {} }, monitor);
  await monitor.ordered;
  using conn = await Deno.connect({ transport: "unix", path });
  await conn.write(new TextEncoder().encode("1\n"));
  // Its number has been read: whoever connects later is refused after it.
  using other = await Deno.connect({ transport: "unix", path });
  await other.write(new TextEncoder().encode("2\n"));
  await log.next("connection_refused");
  await monitor.report({ number: 1, pid: Deno.pid }, { number: 1, code: 1, signal: null });
  assertEquals((await process.exited).code, 1);
  assertEquals(await conn.read(new Uint8Array(1)), null);
});

Deno.test("MonitoredProcess sends messages of any size whole, and in their order", async () => {
  await using monitor = await Monitor.start();
  const { path } = monitor;
  const process = new MonitoredProcess<never, unknown>("engine", { onMessage: () => {}, onStderr: () => {} }, monitor);
  const large = { text: '"漢"\n'.repeat(500_000), more: [{ text: "x".repeat(300_000) }] };
  const messages = [{ op: "first" }, large, { op: "between" }, large, { op: "last" }];
  for (const message of messages.slice(0, 3)) process.send(message);
  await monitor.ordered;
  await monitor.report({ number: 1, pid: Deno.pid });
  const conn = await Deno.connect({ transport: "unix", path });
  await conn.write(new TextEncoder().encode("1\n"));
  const sent = messages.map((message) => `${JSON.stringify(message)}\n`).join("");
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let got = "";
  while (got.length < sent.length) {
    const count = await conn.read(buffer);
    if (count === null) break;
    if (got === "") { for (const message of messages.slice(3)) process.send(message); }
    got += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  assertEquals(got === sent, true);
  conn.close();
  await monitor.report({ number: 1, code: 0, signal: null });
  assertEquals((await process.exited).code, 0);
});
