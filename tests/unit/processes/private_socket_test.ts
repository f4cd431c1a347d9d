import { assert, assertEquals } from "@std/assert";
import { PrivateSocket } from "../../../src/processes/private_socket.ts";
import { Peers } from "../../../src/server/peer.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

/** A private socket in a folder of its own; this process is whoever connects. */
class Meeting implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "inferd-" });
  readonly path = `${this.dir}/engine.sock`;
  readonly log = new LogRecorder();
  readonly #peers = Peers.open(this.log);
  readonly socket = new PrivateSocket({ path: this.path, peers: this.#peers, uid: Deno.uid(), log: this.log });

  get isThere(): boolean {
    return Array.from(Deno.readDirSync(this.dir)).length > 0;
  }

  /** Connect, say something, and read to the end. */
  async refused(text: string): Promise<unknown> {
    using conn = await this.connect(text);
    assertEquals(await conn.read(new Uint8Array(1)), null);
    return (await this.log.next("connection_refused")).fields.reason;
  }

  async connect(text: string): Promise<Deno.UnixConn> {
    const conn = await Deno.connect({ transport: "unix", path: this.path });
    await conn.write(new TextEncoder().encode(text));
    return conn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket[Symbol.dispose]();
    this.#peers?.[Symbol.dispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

const OWN = Promise.resolve(Deno.pid);

Deno.test("PrivateSocket hands over the process it awaits, with what came early, and is gone then", async () => {
  await using meeting = new Meeting();
  {
    using awaited = await meeting.socket.expect(12, OWN);
    assertEquals((Deno.statSync(meeting.path).mode ?? 0) & 0o777, 0o600);
    using _conn = await meeting.connect("12\nearly");
    using met = await awaited.met;
    assertEquals(new TextDecoder().decode(met.first), "early");
  }
  assertEquals(meeting.isThere, false);
  // And the next one finds it again.
  using again = await meeting.socket.expect(13, OWN);
  using _conn = await meeting.connect("13\n");
  using _met = await again.met;
});

Deno.test("PrivateSocket refuses a process that is not the one that was started", async () => {
  await using meeting = new Meeting();
  using _awaited = await meeting.socket.expect(12, Promise.resolve(Deno.ppid));
  assertEquals(await meeting.refused("12\n"), "it is not the process that was started");
});

Deno.test("PrivateSocket refuses who is not awaited, and who says no number", async () => {
  await using meeting = new Meeting();
  using _awaited = await meeting.socket.expect(12, OWN);
  assertEquals(await meeting.refused("11\n"), "no process is expected under that number");
  assertEquals(await meeting.refused("x".repeat(100)), "it sent no number");
  assert(meeting.isThere);
});

Deno.test("PrivateSocket meets a process when accepting has failed before, as it does without descriptors", async () => {
  await using meeting = new Meeting();
  const listen = Deno.listen;
  const failingOnce = (options: Deno.UnixListenOptions & { transport: "unix" }): Deno.UnixListener => {
    const listener = listen(options);
    const accept = listener.accept;
    listener.accept = () => {
      listener.accept = accept;
      return Promise.reject(new Error("Too many open files"));
    };
    return listener;
  };
  using undo = new DisposableStack();
  undo.defer(() => Deno.listen = listen);
  Deno.listen = failingOnce as typeof Deno.listen;
  using awaited = await meeting.socket.expect(12, OWN);
  using _conn = await meeting.connect("12\n");
  using _met = await awaited.met;
  assertEquals((await meeting.log.next("private_socket_failed")).fields.reason, "Error: Too many open files");
});

Deno.test("PrivateSocket meets several at a time, and stays until the last", async () => {
  await using meeting = new Meeting();
  using first = await meeting.socket.expect(1, OWN);
  using second = await meeting.socket.expect(2, OWN);
  using _two = await meeting.connect("2\n");
  using _metTwo = await second.met;
  second[Symbol.dispose]();
  assert(meeting.isThere);
  using _one = await meeting.connect("1\n");
  using _metOne = await first.met;
  first[Symbol.dispose]();
  assertEquals(meeting.isThere, false);
});
