import { assertEquals } from "@std/assert";
import { type CorpusSchema, measureCorpus, quantile, readCorpus } from "../../../bench/schema_corpus.ts";

const CORPUS: readonly CorpusSchema[] = [
  { name: "right", schema: { type: "integer" }, tests: [{ valid: true, data: 1 }, { valid: false, data: "a" }] },
  { name: "called invalid", schema: { type: "object" }, tests: [{ valid: false, data: { a: [1, { b: 2 }] } }] },
  { name: "in another order", schema: ordered(["a", "b"]), tests: [{ valid: true, data: { b: 1, a: 1 } }] },
  { name: "none", schema: { type: "strin" }, tests: [] },
];

function ordered(required: readonly string[]): unknown {
  return { type: "object", properties: { a: {}, b: {} }, required };
}

async function* each(): AsyncGenerator<CorpusSchema> {
  for (const schema of CORPUS) yield await Promise.resolve(schema);
}

Deno.test("a corpus is measured by what its schemas take", async () => {
  const { compileMs, pieceMs, ...result } = await measureCorpus(each());
  assertEquals(result, {
    schemas: 4,
    passing: 1,
    uncompiled: ["none"],
    invalidAccepted: [],
    mislabelled: ["called invalid"],
    validRefused: ["in another order"],
  });
  assertEquals([compileMs.length, pieceMs.length], [4, 4]);
});

Deno.test("a corpus is read line by line when it is gzipped or not", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const text = CORPUS.map((line) => JSON.stringify(line)).join("\n");
    await Deno.writeTextFile(`${folder}/a.ndjson`, text);
    const zipped = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
    await Deno.writeFile(`${folder}/a.ndjson.gz`, zipped);
    for (const name of ["a.ndjson", "a.ndjson.gz"]) {
      assertEquals(await Array.fromAsync(readCorpus(`${folder}/${name}`)), [...CORPUS]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a quantile is of the rank that is asked for", () => {
  assertEquals([0, 0.5, 0.95, 1].map((rank) => quantile([1, 2, 3, 4], rank)), [1, 3, 4, 4]);
});
