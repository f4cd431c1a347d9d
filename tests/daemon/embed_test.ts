/** Embeddings over real sockets: the frame, and every rule of its table broken once. */
import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { EmbeddingsFrame } from "@inferd/client/protocol";
import { DaemonUnderTest } from "../support/daemons.ts";
import type { WireClient } from "../support/wire_client.ts";

async function embedded(client: WireClient, request: Record<string, unknown>): Promise<EmbeddingsFrame> {
  await client.send(request);
  return await client.frame() as unknown as EmbeddingsFrame;
}

Deno.test("an embeddings request is answered with one frame in protocol key order", async () => {
  await using test = await DaemonUnderTest.withMock({ dimensions: 1 });
  using client = await test.surface("embed");
  await client.send({ id: "e1", input: ["a b c"] });
  const line = await client.line();
  assertEquals(
    line?.replace(/-?1\.0{9}/, "1"),
    '{"type":"embeddings","id":"e1","embeddings":[[1]],"dimensions":1,"model":"m1","usage":{"input_tokens":3},"backend":"m1"}',
  );
});

Deno.test("vectors are of unit length, in the order of the texts, and the same for the same text", async () => {
  await using test = await DaemonUnderTest.withMock({ dimensions: 128 });
  using client = await test.surface("embed");
  const input = Array.from({ length: 64 }, (_, index) => `text number ${index % 32}`);
  const { embeddings, dimensions, usage } = await embedded(client, { input });
  assertEquals([embeddings.length, dimensions, usage.input_tokens], [64, 128, 192]);
  assertEquals(embeddings.slice(0, 32), embeddings.slice(32));
  assertEquals(new Set(embeddings.map((vector) => vector.join())).size, 32);
  for (const vector of embeddings) assertAlmostEquals(Math.hypot(...vector), 1, 1e-6);
  assertEquals((await embedded(client, { input: ["text number 7"] })).embeddings, [embeddings[7]]);
});

Deno.test("vectors are cut and made of unit length again when dimensions are given", async () => {
  await using test = await DaemonUnderTest.withMock();
  using client = await test.surface("embed");
  const whole = (await embedded(client, { input: ["a b"] })).embeddings[0] ?? [];
  const cut = await embedded(client, { input: ["a b"], dimensions: 3 });
  const [vector = []] = cut.embeddings;
  assertEquals([cut.dimensions, vector.length], [3, 3]);
  const length = Math.hypot(...whole.slice(0, 3));
  for (const [index, value] of vector.entries()) assertAlmostEquals(value, (whole[index] ?? NaN) / length, 1e-6);
});

Deno.test("a task of every kind is taken and makes a difference", async () => {
  await using test = await DaemonUnderTest.withMock();
  using client = await test.surface("embed");
  const tasks = [
    undefined,
    "retrieval_query",
    "retrieval_document",
    "similarity",
    "classification",
    "clustering",
    "question_answering",
    "fact_verification",
    "code_retrieval_query",
  ];
  const vectors: string[] = [];
  for (const task of tasks) vectors.push(String((await embedded(client, { input: ["a"], task })).embeddings[0]));
  assertEquals(new Set(vectors).size, tasks.length);
});

const TASKS = '"retrieval_query", "retrieval_document", "similarity", "classification", "clustering", ' +
  '"question_answering", "fact_verification" or "code_retrieval_query"';

const WRONG: readonly [field: string, json: string | undefined, message: string][] = [
  ["id", "7", '"id" must be a string, got 7'],
  ["input", undefined, '"input" must be a non-empty array, got nothing'],
  ["input", '"text"', '"input" must be a non-empty array, got "text"'],
  ["input", "[]", '"input" must be a non-empty array, got an empty array'],
  ["input", '["a",""]', '"input[1]" must be a non-empty string, got ""'],
  ["input", '["a",7]', '"input[1]" must be a non-empty string, got 7'],
  ["input", '[["a"]]', '"input[0][0]" must be an integer from 0 to 2147483647, got "a"'],
  ["input", "[[]]", '"input[0]" must be a non-empty array, got an empty array'],
  ["input", '["a",[1,-1]]', '"input[1][1]" must be an integer from 0 to 2147483647, got -1'],
  ["input", JSON.stringify(Array(2049).fill("a")), '"input" must have at most 2048 texts, got 2049'],
  ["dimensions", "0", '"dimensions" must be an integer of at least 1, got 0'],
  ["dimensions", "1.5", '"dimensions" must be an integer of at least 1, got 1.5'],
  ["dimensions", '"8"', '"dimensions" must be an integer of at least 1, got "8"'],
  ["dimensions", "1e999", '"dimensions" must be an integer of at least 1, got Infinity'],
  ["dimensions", "9", '"dimensions" must be at most 8, got 9'],
  ["task", '"poetry"', `"task" must be ${TASKS}, got "poetry"`],
  ["task", "null", `"task" must be ${TASKS}, got null`],
];

Deno.test("an embeddings request gets invalid_request with one clear message when a field breaks its rule", async () => {
  await using test = await DaemonUnderTest.withMock();
  using client = await test.surface("embed");
  for (const [field, json, message] of WRONG) {
    const fields = { id: '"r"', input: '["x"]', [field]: json };
    const given = Object.entries(fields).filter(([, value]) => value !== undefined);
    await client.write(`{${given.map(([name, value]) => `"${name}":${value}`).join(",")}}\n`);
    const id = field === "id" ? "" : "r";
    assertEquals(await client.frame(), { id, type: "error", code: "invalid_request", message });
    assertEquals((await embedded(client, { id: "after", input: ["x"] })).type, "embeddings");
  }
});

Deno.test("as many texts as allowed are answered", async () => {
  await using test = await DaemonUnderTest.withMock();
  using client = await test.surface("embed");
  assertEquals((await embedded(client, { input: Array(2048).fill("a") })).embeddings.length, 2048);
});

Deno.test("an answer that would not fit into a frame is invalid_request, and the connection goes on", async () => {
  await using test = await DaemonUnderTest.withMock({ dimensions: 4096 });
  using client = await test.surface("embed");
  await client.send({ id: "big", input: Array(2048).fill("a") });
  assertEquals(await client.frame(), {
    id: "big",
    type: "error",
    code: "invalid_request",
    message: "2048 vectors of 4096 numbers do not fit into a frame of 67108864 bytes",
  });
  assertEquals((await embedded(client, { input: ["x"], dimensions: 2 })).dimensions, 2);
});

Deno.test("an embeddings request ends with backend_unavailable when the backend fails, and is cancelled with its connection", async () => {
  await using failing = await DaemonUnderTest.withMock({ failBefore: true });
  using client = await failing.surface("embed");
  await client.send({ id: "r", input: ["x"] });
  assertEquals(
    await client.line(),
    '{"id":"r","type":"error","code":"backend_unavailable","message":"Backend \\"m1\\" failed as its script says"}',
  );
  await using hanging = await DaemonUnderTest.withMock({ hangAt: 0 });
  using other = await hanging.surface("embed");
  await other.send({ id: "r", input: ["x"] });
  await hanging.log.next("request_accepted");
  other.close();
  await hanging.log.next("request_cancelled");
});

Deno.test("only the sockets of what a backend can do stand", async () => {
  await using test = await DaemonUnderTest.withMock({ services: ["embed"] });
  assertEquals(test.files().filter((name) => name.startsWith("infer.")), ["infer.embed.sock"]);
});
