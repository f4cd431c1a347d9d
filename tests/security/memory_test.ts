/** What one client may make the daemon hold. Each mitigation taken out lets its test fail. */
import { assert, assertEquals } from "@std/assert";
import { ChildServer } from "../support/child_server.ts";
import { ask } from "../support/serving.ts";

const MIB = 1024 * 1024;
const onLinux = { ignore: Deno.build.os !== "linux" };

/** A neighbour that is served from beginning to end: time enough for others to run ahead, if they could. */
async function serveNeighbour(server: ChildServer): Promise<void> {
  using neighbour = await server.connect();
  for (let index = 0; index < 30; index++) {
    await neighbour.send(ask({ max_tokens: 40 }));
    assertEquals((await neighbour.answer()).length, 41);
  }
}

Deno.test("an endless line costs the daemon little more than the cap", onLinux, async () => {
  await using server = await ChildServer.start();
  const before = server.peakBytes();
  using client = await server.connect();
  const piece = new Uint8Array(MIB).fill(0x78);
  for (let sent = 0; sent < 512; sent++) await client.write(piece);
  await client.end();
  assertEquals((await client.frame()).code, "frame_too_large");
  const cost = server.peakBytes() - before;
  assert(cost < 128 * MIB, `${cost / MIB} MiB`);
});

Deno.test("requests behind a running one cost the daemon no more than what is read ahead", onLinux, async () => {
  await using server = await ChildServer.start();
  await serveNeighbour(server);
  const before = server.residentBytes();
  // Nothing is taken of the answer, so this one request never ends.
  using client = await server.connect();
  await client.send(ask({ max_tokens: 1_000_000 }));
  // Nor does this write, which is why it is left to the end of the connection.
  const flood = `${JSON.stringify(ask({ padding: "p".repeat(1000) }))}\n`.repeat(256 * 1024);
  const writing = client.write(flood).catch(() => {});
  await serveNeighbour(server);
  const cost = server.residentBytes() - before;
  await server[Symbol.asyncDispose]();
  await writing;
  assert(cost < 128 * MIB, `${cost / MIB} MiB`);
});

Deno.test("a reader that takes nothing of an endless answer costs the daemon a bounded queue", onLinux, async () => {
  await using server = await ChildServer.start();
  await serveNeighbour(server);
  const before = server.residentBytes();
  using stuck = await server.connect();
  await stuck.send(ask({ max_tokens: 1_000_000 }));
  await serveNeighbour(server);
  const cost = server.residentBytes() - before;
  assert(cost < 128 * MIB, `${cost / MIB} MiB`);
});

Deno.test("64 MiB of brackets are refused before the parser sees them", onLinux, async () => {
  await using server = await ChildServer.start();
  const before = server.peakBytes();
  using client = await server.connect();
  await client.write(new Uint8Array(64 * MIB).fill(0x5b));
  await client.end();
  assertEquals((await client.frame()).message, "The line holds more than 262144 JSON values");
  const cost = server.peakBytes() - before;
  assert(cost < 320 * MIB, `${cost / MIB} MiB`);
});

Deno.test("64 MiB of small objects are refused before the parser makes gigabytes of them", onLinux, async () => {
  await using server = await ChildServer.start();
  const before = server.peakBytes();
  using client = await server.connect();
  await client.write(`[${"{},".repeat(22_000_000)}{}]\n`);
  assertEquals((await client.frame()).message, "The line holds more than 262144 JSON values");
  const cost = server.peakBytes() - before;
  assert(cost < 320 * MIB, `${cost / MIB} MiB`);
});

Deno.test("200 idle connections cost the daemon less than 20 MiB", onLinux, async () => {
  await using server = await ChildServer.start();
  const before = server.residentBytes();
  const idle = [];
  for (let index = 0; index < 200; index++) {
    const client = await server.connect();
    // Accepted, and not just waiting in the kernel.
    await client.send([]);
    await client.frame();
    idle.push(client);
  }
  const cost = server.residentBytes() - before;
  for (const client of idle) client.close();
  assert(cost < 20 * MIB, `${cost / MIB} MiB`);
});
