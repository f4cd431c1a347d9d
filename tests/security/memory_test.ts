/** What one client may make the daemon hold. Each mitigation taken out lets its test fail. */
import { assert, assertEquals } from "@std/assert";
import { ChildServer } from "../support/child_server.ts";
import { ask } from "../support/serving.ts";

const MIB = 1024 * 1024;
const onLinux = { ignore: Deno.build.os !== "linux" };

Deno.test(
  "an endless line costs the daemon no more than the cap and what the runtime takes besides",
  onLinux,
  async () => {
    await using server = await ChildServer.start();
    const before = await server.peakBytes();
    using client = await server.connect();
    const piece = new Uint8Array(MIB).fill(0x78);
    for (let sent = 0; sent < 512; sent++) await client.write(piece);
    await client.end();
    assertEquals((await client.frame()).code, "frame_too_large");
    const cost = await server.peakBytes() - before;
    assert(cost < 128 * MIB, `${cost / MIB} MiB`);
  },
);

Deno.test(
  "requests pipelined behind a running one cost the daemon no more than what is read ahead",
  onLinux,
  async () => {
    await using server = await ChildServer.start();
    using running = await server.connect();
    // A reader that takes nothing, so this one request never ends.
    await running.send(ask({ id: "endless", max_tokens: 1_000_000_000 }));
    await running.line();
    const before = await server.residentBytes();
    // More than fits is not taken: the write that cannot end is left to the end of the connection.
    const flood = `${JSON.stringify(ask({ padding: "p".repeat(10_000) }))}\n`.repeat(100).repeat(64);
    const writing = running.write(flood).catch(() => {});
    using neighbour = await server.connect();
    for (let index = 0; index < 50; index++) {
      await neighbour.send(ask({ max_tokens: 1000, stream: false }));
      assertEquals((await neighbour.frame()).type, "done");
    }
    const cost = await server.residentBytes() - before;
    assert(cost < 40 * MIB, `${cost / MIB} MiB`);
    await server[Symbol.asyncDispose]();
    await writing;
  },
);

Deno.test("a reader that takes nothing of an endless answer costs the daemon a bounded queue", onLinux, async () => {
  await using server = await ChildServer.start();
  using neighbour = await server.connect();
  await neighbour.send(ask({ max_tokens: 1000, stream: false }));
  await neighbour.frame();
  const before = await server.residentBytes();
  using stuck = await server.connect();
  await stuck.send(ask({ max_tokens: 1_000_000_000 }));
  for (let index = 0; index < 200; index++) {
    await neighbour.send(ask({ max_tokens: 1000, stream: false }));
    assertEquals((await neighbour.frame()).type, "done");
  }
  const cost = await server.residentBytes() - before;
  assert(cost < 40 * MIB, `${cost / MIB} MiB`);
});

Deno.test("64 MiB of brackets are refused before the parser sees them", onLinux, async () => {
  await using server = await ChildServer.start();
  const before = await server.peakBytes();
  using client = await server.connect();
  await client.write(new Uint8Array(64 * MIB).fill(0x5b));
  await client.end();
  assertEquals((await client.frame()).message, "The line holds more than 262144 JSON values");
  const cost = await server.peakBytes() - before;
  assert(cost < 320 * MIB, `${cost / MIB} MiB`);
});

Deno.test("64 MiB of small objects are refused before the parser makes gigabytes of them", onLinux, async () => {
  await using server = await ChildServer.start();
  const before = await server.peakBytes();
  using client = await server.connect();
  await client.write(`[${"{},".repeat(22_000_000)}{}]\n`);
  assertEquals((await client.frame()).message, "The line holds more than 262144 JSON values");
  const cost = await server.peakBytes() - before;
  assert(cost < 320 * MIB, `${cost / MIB} MiB`);
});

Deno.test("200 idle connections cost the daemon less than 20 MiB", onLinux, async () => {
  await using server = await ChildServer.start();
  using first = await server.connect();
  await first.send(ask({ max_tokens: 10, stream: false }));
  await first.frame();
  const before = await server.residentBytes();
  const idle = [];
  for (let index = 0; index < 200; index++) {
    idle.push(await server.connect());
    // Accepted, not just waiting in the kernel.
    await idle.at(-1)?.send([]);
    await idle.at(-1)?.frame();
  }
  const cost = await server.residentBytes() - before;
  for (const client of idle) client.close();
  assert(cost < 20 * MIB, `${cost / MIB} MiB`);
});
