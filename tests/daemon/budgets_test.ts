/** What all connections share, and who is refused when it is spent. */
import { assert, assertEquals } from "@std/assert";
import { RefusalRate } from "../../src/server/refusal_rate.ts";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { ask, Serving } from "../support/serving.ts";

const MIB = 1024 * 1024;
const NO_ROOM = '{"id":"","type":"error","code":"frame_too_large",' +
  '"message":"The daemon holds as many bytes of requests as it may, and this client has the most"}';

/** The beginning of a request of at least so many bytes. */
function half(bytes: number): Uint8Array {
  return new TextEncoder().encode(`{"messages":[{"role":"user","content":"${"x".repeat(bytes)}`);
}

Deno.test("beyond the memory budget the largest unfinished line is refused, and all others are served", async () => {
  await using serving = await Serving.start({ memoryBytes: 4 * MIB });
  using large = await serving.connect();
  await large.write(half(3 * MIB));
  using next = await serving.connect();
  const rest = large.rest();
  await next.write(half(2 * MIB));
  assertEquals(await rest, [NO_ROOM]);
  const { fields } = await serving.log.next("request_oversized");
  assertEquals(fields.limit_bytes, 4 * MIB);
  await next.write('"}],"stream":false}\n');
  assertEquals((await next.frame()).content, " a b");
});

Deno.test("requests that are served count until they are answered: a large one waits, a small one does not", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], memoryBytes: 4 * MIB, tcp: {} });
  using served = await serving.connect();
  await served.send(ask({ padding: "x".repeat(3 * MIB) }));
  const run = await backend.next();
  using waiting = await serving.connectTcp();
  const writing = waiting.write(`${JSON.stringify(ask({ id: "large", padding: "x".repeat(3 * MIB) }))}\n`);
  using small = await serving.connect();
  await small.send(ask({ id: "small" }));
  const second = await backend.next();
  second.finish();
  assertEquals((await small.frame()).id, "small");
  assertEquals(backend.unclaimed, 0);
  run.finish();
  await served.frame();
  (await backend.next()).finish();
  await writing;
  assertEquals((await waiting.frame()).id, "large");
});

Deno.test("a connection too many is told so and closed; one that closes makes room", async () => {
  await using serving = await Serving.start({ maxConnections: 4, tcp: {} });
  using first = await serving.connect();
  using second = await serving.connect();
  using third = await serving.connect();
  // Half of all is for one program.
  assertEquals(await third.rest(), [
    '{"id":"","type":"error","code":"queue_full","message":"This client has 2 connections, as many as it may have"}',
  ]);
  using _otherCaller = await serving.connectTcp();
  await _otherCaller.send(ask({ stream: false }));
  assertEquals((await _otherCaller.frame()).type, "done");
  const { fields } = await serving.log.next("connections_refused");
  assertEquals([fields.count, fields.open], [1, 2]);
  first.close();
  await second.send(ask({ stream: false }));
  await second.frame();
  using fourth = await serving.connect();
  await fourth.send(ask({ stream: false }));
  assertEquals((await fourth.frame()).type, "done");
});

Deno.test("a connection too many of a port with a key is closed without a word", async () => {
  await using serving = await Serving.start({ maxConnections: 1, tcp: { apiKey: "k" } });
  using _first = await serving.connectTcp();
  using second = await serving.connectTcp();
  assertEquals(await second.rest(), []);
});

Deno.test("a connection without a request is closed after a while, one that is served is not", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], idleMs: 50 });
  using served = await serving.connect();
  await served.send(ask());
  const run = await backend.next();
  using idle = await serving.connect();
  await idle.write('{"messages":');
  assertEquals((await serving.log.next("connection_idle")).fields.idle_ms, 50);
  assertEquals(await idle.line(), undefined);
  run.finish();
  assertEquals((await served.frame()).type, "done");
  assertEquals(await served.line(), undefined);
});

Deno.test("the kernel asks TCP clients that are silent whether they are there", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using serving = await Serving.start({ tcp: {} });
  using client = await serving.connectTcp();
  await client.send(ask({ stream: false }));
  await client.frame();
  const { port } = client.conn.localAddr as Deno.NetAddr;
  const hex = (number: number): string => number.toString(16).toUpperCase().padStart(4, "0");
  const lines = Deno.readTextFileSync("/proc/net/tcp").split("\n");
  const line = lines.find((line) => line.includes(`:${hex(serving.port)} 0100007F:${hex(port)} `));
  // Which timer runs, and when it ends in hundredths of a second: 2 is that of keep-alive.
  const [, timer, when] = line?.match(/ (\d\d):([0-9A-F]{8}) /) ?? [];
  assertEquals(timer, "02");
  assert(parseInt(when ?? "", 16) <= 6000, when);
});

Deno.test("a client whose requests are refused at once, one after the other, lets others have their turn", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend] });
  using flooder = await serving.connect();
  const flood = flooder.write("[]\n".repeat(2000));
  using neighbour = await serving.connect();
  await neighbour.send(ask({ id: "neighbour" }));
  (await backend.next()).finish();
  assertEquals((await neighbour.frame()).id, "neighbour");
  assert(serving.log.of("request_error").length < 1000);
  await flood;
});

Deno.test("a caller that was refused too often waits on its next connection, too", async () => {
  const callers: string[] = [];
  const refusals = new class extends RefusalRate {
    override charge(caller: string, tookMs: number): void {
      callers.push(caller);
      super.charge(caller, tookMs);
    }
  }();
  await using serving = await Serving.start({ refusals });
  const refused = async (): Promise<void> => {
    using client = await serving.connect();
    await client.write("[]\n");
    assertEquals((await client.frame()).code, "invalid_request");
  };
  await refused();
  // As if reading it had taken long.
  refusals.charge(callers[0] ?? "", 200);
  const started = performance.now();
  await refused();
  assert(performance.now() - started >= 200);
});

Deno.test("a line that is not JSON counts as a refusal", async () => {
  let count = 0;
  const refusals = new class extends RefusalRate {
    override charge(): void {
      count++;
    }
  }();
  await using serving = await Serving.start({ refusals });
  using client = await serving.connect();
  await client.write("junk\n");
  assertEquals((await client.frame()).code, "invalid_request");
  assertEquals(count, 1);
});

Deno.test("a line with too many values is refused while it arrives", async () => {
  await using serving = await Serving.start();
  using client = await serving.connect();
  await client.write(`[${"{},".repeat(200_000)}`);
  assertEquals((await client.frame()).message, "The line holds more than 262144 JSON values");
});
