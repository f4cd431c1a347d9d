/** What the head of a GGUF file says, and what is refused: cut, damaged and hostile ones. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fileHead, type GgufMetadata, type TensorHead } from "../../../../bench/gguf.ts";
import { BUILT_INS } from "../../../../src/models/built_in.ts";
import { metadataOf } from "../../../../src/models/file/description.ts";
import { checkGgufSize, GgufError, type GgufHead, readGgufHead } from "../../../../src/models/file/gguf.ts";
import { bytesSource, modelBytes, splitModel } from "../../../support/gguf_files.ts";

const MODEL = Deno.readFileSync(BUILT_INS["inferd-tiny"].url);

const read = (bytes: Uint8Array): Promise<GgufHead> => readGgufHead(bytesSource(bytes));

async function refused(bytes: Uint8Array): Promise<GgufError> {
  return await assertRejects(async () => checkGgufSize(await read(bytes), bytes.length), GgufError);
}

Deno.test("readGgufHead tells the tensors of a model and how long its file is", async () => {
  const head = await read(MODEL);
  assertEquals([head.version, head.architecture, head.tensors.length, head.split], [3, "qwen2", 56, undefined]);
  assertEquals([head.requiredBytes, head.paddedBytes], [MODEL.length, MODEL.length]);
  const { name, dimensions, bytes } = head.tensors.at(-1) ?? {};
  assertEquals([name, dimensions, bytes], ["blk.5.ffn_down.weight", [512, 192], 512 * 192 * 2]);
  const rerank = Deno.readFileSync(BUILT_INS["inferd-tiny-rerank"].url);
  const { requiredBytes, paddedBytes } = await read(rerank);
  assertEquals([requiredBytes, paddedBytes], [rerank.length - 28, rerank.length]);
});

Deno.test("readGgufHead tells which part of a model a file is", async () => {
  const splits = await Promise.all((await splitModel(MODEL, 3)).map(read));
  assertEquals(splits.map(({ split }) => split), [0, 1, 2].map((index) => ({ index, count: 3, tensors: 56 })));
  assertEquals((await read((await splitModel(MODEL, 1))[0] ?? MODEL)).split, undefined);
});

Deno.test("a file that is cut anywhere is refused as cut, with what is there and what is missing", async () => {
  const { dataOffset } = await read(MODEL);
  for (const length of [4, 5, 23, 24, 73, 1024, dataOffset - 40, dataOffset, MODEL.length >> 1, MODEL.length - 1]) {
    const { fault, message } = await refused(MODEL.subarray(0, length));
    assertEquals(fault, "cut", message);
    assert(message.includes(String(length)), message);
    if (length > dataOffset) assert(message.includes(`${length} of its ${MODEL.length} bytes`), message);
  }
  const small = modelBytes(300);
  for (let length = 4; length < small.length; length++) {
    assertEquals((await refused(small.subarray(0, length))).fault, "cut", String(length));
  }
});

Deno.test("what does not begin as a GGUF file does is none", async () => {
  for (const text of ["", "G", "GGU", "gguf", "<html>Please log in</html>", "PK\x03\x04"]) {
    assertEquals((await refused(new TextEncoder().encode(text))).fault, "not_gguf", text);
  }
});

const KEYS: GgufMetadata = new Map([
  ["general.architecture", { type: "string", value: "test" }],
  ["a.list", { type: "array", of: "string", value: ["one", "two"] }],
]);
const TENSORS: readonly TensorHead[] = [
  { name: "first", dimensions: [32, 2], type: "q8_0" },
  { name: "second", dimensions: [5], type: "f32" },
];

/** A small whole file, changed: numbers are written where a text is found, counted from its end or its beginning. */
function changed(change: (view: DataView, after: (text: string) => number) => void): Uint8Array {
  const bytes = new Uint8Array([...fileHead(KEYS, TENSORS), ...new Uint8Array(200)]);
  const after = (text: string): number => {
    const wanted = new TextEncoder().encode(text);
    const at = bytes.findIndex((_, index) => wanted.every((byte, offset) => bytes[index + offset] === byte));
    assert(at >= 0, text);
    return at + wanted.length;
  };
  change(new DataView(bytes.buffer), after);
  return bytes;
}

const HOSTILE: readonly (readonly [string, string, (view: DataView, after: (text: string) => number) => void])[] = [
  ["another version", "version is 9", (view) => view.setUint32(4, 9, true)],
  ["version 1", "version is 1", (view) => view.setUint32(4, 1, true)],
  ["the other byte order", "big-endian", (view) => view.setUint32(4, 3)],
  ["2^60 keys", "metadata keys", (view) => view.setBigUint64(16, 2n ** 60n, true)],
  ["2^63 tensors", "tensors", (view) => view.setBigUint64(8, 2n ** 63n, true)],
  ["an empty key", "is empty", (view) => view.setBigUint64(24, 0n, true)],
  ["a key of 2^62 bytes", "metadata key 0 has", (view) => view.setBigUint64(24, 2n ** 62n, true)],
  [
    "a string of 2^62 bytes",
    'value of "general.architecture" has',
    (view, after) => view.setBigUint64(after("general.architecture") + 4, 2n ** 62n, true),
  ],
  [
    "a value of no type",
    "is of type 99",
    (view, after) => view.setUint32(after("general.architecture"), 99, true),
  ],
  [
    "a list of lists",
    'values of "a.list" are of type 9',
    (view, after) => view.setUint32(after("a.list") + 4, 9, true),
  ],
  ["2^62 values", '"a.list" has', (view, after) => view.setBigUint64(after("a.list") + 8, 2n ** 62n, true)],
  [
    "a string of 2^62 bytes in a list",
    '"a.list" are longer',
    (view, after) => view.setBigUint64(after("a.list") + 16, 2n ** 62n, true),
  ],
  [
    "a tensor without a name",
    "tensor 0 has no name",
    (view, after) => view.setBigUint64(after("first") - 13, 0n, true),
  ],
  [
    "a long name",
    "name of tensor 0 has 64 bytes",
    (view, after) => view.setBigUint64(after("first") - 13, 64n, true),
  ],
  ["5 dimensions", '"first" has 5 dimensions', (view, after) => view.setUint32(after("first"), 5, true)],
  ["a dimension of 0", "has a dimension of 0", (view, after) => view.setBigUint64(after("first") + 4, 0n, true)],
  [
    "a type of old",
    '"first" is of type 4, which is no longer',
    (view, after) => view.setUint32(after("first") + 20, 4, true),
  ],
  ["a type there is not", '"first" is of type 256', (view, after) => view.setUint32(after("first") + 20, 256, true)],
  [
    "half a block",
    "rows of 33 values, its type has blocks of 32",
    (view, after) => view.setBigUint64(after("first") + 4, 33n, true),
  ],
  [
    "more than any file can hold",
    "larger than a file can be",
    (view, after) => {
      for (const at of [4, 12]) view.setBigUint64(after("first") + at, 2n ** 31n, true);
    },
  ],
  ["an offset elsewhere", '"second" begins at 5', (view, after) => view.setBigUint64(after("second") + 16, 5n, true)],
];

for (const [what, message, change] of HOSTILE) {
  Deno.test(`a file with ${what} is refused as damaged`, async () => {
    checkGgufSize(await read(changed(() => {})), 1000);
    const error = await refused(changed(change));
    assertEquals(error.fault, "damaged", error.message);
    assert(error.message.includes(message) && !error.message.includes("\n"), error.message);
  });
}

Deno.test("a key or a tensor that occurs twice is refused as damaged", async () => {
  const [first] = TENSORS;
  assert(first !== undefined);
  const tensors = await refused(new Uint8Array([...fileHead(KEYS, [first, first]), ...new Uint8Array(500)]));
  assertEquals(tensors.message, 'it is damaged: tensor "first" occurs twice');
  const keys = new Map([...KEYS, ["general.architecturf", { type: "string", value: "x" } as const]]);
  const bytes = new Uint8Array([...fileHead(keys, TENSORS), ...new Uint8Array(500)]);
  const wanted = new TextEncoder().encode("general.architecturf");
  const at = bytes.findIndex((_, index) => wanted.every((byte, offset) => bytes[index + offset] === byte));
  bytes[at + wanted.length - 1] = "e".charCodeAt(0);
  assertEquals((await refused(bytes)).message, 'it is damaged: metadata key "general.architecture" occurs twice');
});

Deno.test("a tensor of a type that is not known yet counts with where it begins", async () => {
  const bytes = changed((view, after) => view.setUint32(after("first") + 20, 77, true));
  const { tensors, requiredBytes, dataOffset } = await read(bytes);
  assertEquals(tensors.map(({ bytes }) => bytes), [0, 20]);
  assertEquals(requiredBytes, dataOffset + (tensors[1]?.offset ?? 0) + 20);
});

Deno.test("whatever bytes are changed, a head is read or refused, and quickly", async () => {
  const { dataOffset } = await read(MODEL);
  const head = MODEL.slice(0, dataOffset);
  let state = 7;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
  const faults = new Map<string, number>();
  const begin = performance.now();
  for (let round = 0; round < 400; round++) {
    const bytes = head.slice();
    // Mostly at the beginning and at the end, where the counts are.
    for (let change = 0; change <= random(4); change++) {
      const at = [random(2000), bytes.length - 1 - random(4000), random(bytes.length)][random(3)] ?? 0;
      bytes[at] = random(256);
    }
    const fault = await read(bytes).then(() => "none", (error: unknown) => {
      if (!(error instanceof GgufError)) throw error;
      return error.fault;
    });
    faults.set(fault, (faults.get(fault) ?? 0) + 1);
  }
  assert((faults.get("damaged") ?? 0) > 20 && (faults.get("none") ?? 0) > 20, JSON.stringify([...faults]));
  assert(performance.now() - begin < 20_000);
});

Deno.test("readGgufHead tells scalars with their types, and metadataOf those that describe the model", async () => {
  const long = "x".repeat(300);
  const keys: GgufMetadata = new Map(
    [
      ["general.architecture", { type: "string", value: "test" }],
      ["test.rope.freq_base", { type: "float32", value: 0.5 }],
      ["test.attention.causal", { type: "bool", value: true }],
      ["test.offset", { type: "int32", value: -2 }],
      ["test.context_length", { type: "uint64", value: 4096n }],
      ["general.description", { type: "string", value: long }],
      ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
      ["tokenizer.ggml.eos_token_id", { type: "uint32", value: 7 }],
      ["tokenizer.chat_template", { type: "string", value: long }],
      ["tokenizer.huggingface.json", { type: "string", value: "{}" }],
    ] as const,
  );
  const head = await read(fileHead(keys, [{ name: "weights", dimensions: [1], type: "i8" }]));
  assertEquals(head.facts.get("tokenizer.chat_template"), long);
  assertEquals(metadataOf(head), {
    "general.architecture": "test",
    "test.rope.freq_base": 0.5,
    "test.attention.causal": true,
    "test.offset": -2,
    "test.context_length": 4096,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.eos_token_id": 7,
  });
});
