import { assertEquals, assertThrows } from "@std/assert";
import { fileHead, type GgufMetadata, type GgufValue, readMetadata, type TensorHead } from "../../../bench/gguf.ts";

const EVERY_TYPE: GgufMetadata = new Map<string, GgufValue>([
  ["a.uint8", { type: "uint8", value: 255 }],
  ["a.int8", { type: "int8", value: -128 }],
  ["a.uint16", { type: "uint16", value: 65_535 }],
  ["a.int16", { type: "int16", value: -32_768 }],
  ["a.uint32", { type: "uint32", value: 4_294_967_295 }],
  ["a.int32", { type: "int32", value: -2_147_483_648 }],
  ["a.float32", { type: "float32", value: 0.5 }],
  ["a.bool", { type: "bool", value: true }],
  ["a.string", { type: "string", value: "Ġhällo 🦊" }],
  ["a.uint64", { type: "uint64", value: 2n ** 64n - 1n }],
  ["a.int64", { type: "int64", value: -(2n ** 63n) }],
  ["a.float64", { type: "float64", value: Math.PI }],
  ["an.array", { type: "array", of: "string", value: ["", "a", "🦊"] }],
  ["an.empty.array", { type: "array", of: "int32", value: [] }],
]);

Deno.test("readMetadata gives back every type of value when fileHead has written it", () => {
  assertEquals(readMetadata(fileHead(EVERY_TYPE, [])), EVERY_TYPE);
});

Deno.test("readMetadata reads on when the metadata outgrows the writer's first buffer", () => {
  const long = "x".repeat(200_000);
  const metadata: GgufMetadata = new Map([["long", { type: "string", value: long }], ...EVERY_TYPE]);
  assertEquals(readMetadata(fileHead(metadata, [])), metadata);
});

Deno.test("readMetadata finds the tokenizer when it reads the built-in model", async () => {
  const file = new URL("../../../models/inferd-tiny.gguf", import.meta.url);
  const metadata = readMetadata(await Deno.readFile(file));
  assertEquals(metadata.get("general.architecture"), { type: "string", value: "qwen2" });
  const tokens = metadata.get("tokenizer.ggml.tokens")?.value as string[];
  const end = metadata.get("tokenizer.ggml.eos_token_id")?.value as number;
  assertEquals([tokens.length, tokens[end]], [2048, "<|im_end|>"]);
});

Deno.test("readMetadata refuses when the bytes are no GGUF file", () => {
  assertThrows(() => readMetadata(new TextEncoder().encode("PK\x03\x04 something else")), TypeError, "Not a GGUF file");
  assertThrows(() => readMetadata(new Uint8Array(0)), TypeError, "Not a GGUF file");
});

Deno.test("readMetadata refuses when the version is unknown", () => {
  const head = fileHead(EVERY_TYPE, []);
  head[4] = 9;
  assertThrows(() => readMetadata(head), TypeError, "GGUF version 9 is not known");
});

Deno.test("readMetadata refuses when the file is cut anywhere in the metadata", () => {
  const metadata: GgufMetadata = new Map([...EVERY_TYPE].slice(0, 9));
  const whole = fileHead(metadata, []);
  // The end is padding.
  for (let length = 8; length < whole.length - 32; length += 7) {
    assertThrows(() => readMetadata(whole.slice(0, length)), RangeError);
  }
});

Deno.test("fileHead places tensors one after another, aligned, when their sizes are odd", () => {
  const tensors: TensorHead[] = [
    { name: "a", dimensions: [3], type: "f32" },
    { name: "b", dimensions: [32, 2], type: "q8_0" },
    { name: "c", dimensions: [1], type: "f32" },
  ];
  const head = fileHead(new Map(), tensors);
  const view = new DataView(head.buffer);
  assertEquals([head.length % 32, view.getBigUint64(8, true)], [0, 3n]);
  const offsets: bigint[] = [];
  let at = 24;
  for (const { name, dimensions } of tensors) {
    at += 8 + name.length + 4 + dimensions.length * 8 + 4;
    offsets.push(view.getBigUint64(at, true));
    at += 8;
  }
  // 12 bytes and 68 bytes, each filled up to a multiple of 32.
  assertEquals(offsets, [0n, 32n, 128n]);
});
