/** Rerank over real sockets: the frame, and every rule of its table broken once. */
import { assertEquals } from "@std/assert";
import type { RerankFrame } from "@inferd/client/protocol";
import { DaemonUnderTest } from "../support/daemons.ts";
import type { WireClient } from "../support/wire_client.ts";

async function reranked(client: WireClient, request: Record<string, unknown>): Promise<RerankFrame> {
  await client.send(request);
  return await client.frame() as unknown as RerankFrame;
}

Deno.test("a rerank request is answered with one frame, the best first, equal ones in input order", async () => {
  await using test = await DaemonUnderTest.withMock();
  using client = await test.surface("rerank");
  await client.send({ id: "k1", query: "a b", documents: ["x", "b", "a b c", "a", "y"] });
  assertEquals(
    await client.line(),
    '{"type":"rerank","id":"k1","results":[{"index":2,"score":2},{"index":1,"score":1},{"index":3,"score":1},{"index":0,"score":0},{"index":4,"score":0}],' +
      '"model":"m1","usage":{"input_tokens":17},"backend":"m1"}',
  );
});

Deno.test("only the best top_n come, and all when top_n is more than there are", async () => {
  await using test = await DaemonUnderTest.withMock();
  using client = await test.surface("rerank");
  const request = { query: "a b", documents: ["x", "b", "a b c"] };
  const indexes = async (top_n: number): Promise<number[]> =>
    (await reranked(client, { ...request, top_n })).results.map(({ index }) => index);
  assertEquals(await indexes(1), [2]);
  assertEquals(await indexes(2), [2, 1]);
  assertEquals(await indexes(1000), [2, 1, 0]);
});

Deno.test("as many documents and as much text as allowed are answered", async () => {
  await using test = await DaemonUnderTest.withMock();
  using client = await test.surface("rerank");
  assertEquals((await reranked(client, { query: "a", documents: Array(256).fill("a") })).results.length, 256);
  const most = { query: "ü", documents: ["ü".repeat(2 ** 22 - 1)] };
  assertEquals((await reranked(client, most)).results.length, 1);
});

const TOO_MUCH = '"query" and "documents" together must have at most 8388608 bytes, got 8388609';

const WRONG: readonly [field: string, json: string | undefined, message: string][] = [
  ["id", "{}", '"id" must be a string, got an object'],
  ["query", undefined, '"query" must be a non-empty string, got nothing'],
  ["query", '""', '"query" must be a non-empty string, got ""'],
  ["query", '["q"]', '"query" must be a non-empty string, got an array'],
  ["documents", undefined, '"documents" must be a non-empty array, got nothing'],
  ["documents", '"d"', '"documents" must be a non-empty array, got "d"'],
  ["documents", "[]", '"documents" must be a non-empty array, got an empty array'],
  ["documents", '["d",""]', '"documents[1]" must be a non-empty string, got ""'],
  ["documents", '[{"text":"d"}]', '"documents[0]" must be a non-empty string, got an object'],
  ["documents", JSON.stringify(Array(257).fill("d")), '"documents" must have at most 256 strings, got 257'],
  ["documents", JSON.stringify(["d".repeat(2 ** 23)]), TOO_MUCH],
  ["documents", JSON.stringify(["ü".repeat(2 ** 22)]), TOO_MUCH],
  ["top_n", "0", '"top_n" must be an integer of at least 1, got 0'],
  ["top_n", "-1", '"top_n" must be an integer of at least 1, got -1'],
  ["top_n", "1.5", '"top_n" must be an integer of at least 1, got 1.5'],
  ["top_n", '"1"', '"top_n" must be an integer of at least 1, got "1"'],
  ["top_n", "null", '"top_n" must be an integer of at least 1, got null'],
];

Deno.test("a rerank request gets invalid_request with one clear message when a field breaks its rule", async () => {
  await using test = await DaemonUnderTest.withMock();
  using client = await test.surface("rerank");
  for (const [field, json, message] of WRONG) {
    const fields = { id: '"r"', query: '"q"', documents: '["d"]', [field]: json };
    const given = Object.entries(fields).filter(([, value]) => value !== undefined);
    await client.write(`{${given.map(([name, value]) => `"${name}":${value}`).join(",")}}\n`);
    const id = field === "id" ? "" : "r";
    assertEquals(await client.frame(), { id, type: "error", code: "invalid_request", message });
    assertEquals((await reranked(client, { id: "after", query: "q", documents: ["d"] })).type, "rerank");
  }
});

Deno.test("a rerank request ends with backend_unavailable when the backend fails, and is cancelled with its connection", async () => {
  await using failing = await DaemonUnderTest.withMock({ failBefore: true });
  using client = await failing.surface("rerank");
  await client.send({ id: "r", query: "q", documents: ["d"] });
  assertEquals(
    await client.line(),
    '{"id":"r","type":"error","code":"backend_unavailable","message":"Backend \\"m1\\" failed as its script says"}',
  );
  await using hanging = await DaemonUnderTest.withMock({ hangAt: 0 });
  using other = await hanging.surface("rerank");
  await other.send({ id: "r", query: "q", documents: ["d"] });
  await hanging.log.next("request_accepted");
  other.close();
  await hanging.log.next("request_cancelled");
});
