import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { readMetadata } from "../../../bench/gguf.ts";
import { type LlamaShape, writeRandomModel } from "../../../bench/random_gguf.ts";
import { inFolder } from "../../support/folders.ts";

const BUILT_IN = fromFileUrl(new URL("../../../models/inferd-tiny.gguf", import.meta.url));
const SMALL: LlamaShape = { width: 64, layers: 1, feedForward: 96, heads: 4, kvHeads: 2 };
const VOCABULARY = 2048;
/** 64 weights in two blocks of 34 bytes. */
const ROW_BYTES = 68;

async function write(folder: string, seed: number): Promise<Uint8Array> {
  const path = `${folder}/${seed}.gguf`;
  const seen: number[] = [];
  await writeRandomModel(path, {
    tokenizerFrom: BUILT_IN,
    shape: SMALL,
    seed,
    onProgress: (fraction) => seen.push(fraction),
  });
  assertEquals(seen, seen.toSorted((a, b) => a - b));
  assertEquals(seen.at(-1), 1);
  return await Deno.readFile(path);
}

Deno.test("writeRandomModel writes the same file when the seed is the same, and only then", () =>
  inFolder(async (folder) => {
    const first = await write(folder, 1);
    assertEquals(await write(folder, 1), first);
    assertNotEquals(await write(folder, 2), first);
  }));

Deno.test("writeRandomModel gives every layer the first one's weights when they are to be the same", () =>
  inFolder(async (folder) => {
    const layers = async (sameLayers: boolean): Promise<Uint8Array[]> => {
      const path = `${folder}/${sameLayers}.gguf`;
      await writeRandomModel(path, { tokenizerFrom: BUILT_IN, shape: { ...SMALL, layers: 2 }, seed: 1, sameLayers });
      const bytes = await Deno.readFile(path);
      const { width, feedForward } = SMALL;
      const layer = [width * width * 2, width * (width / 2) * 2, width * feedForward * 3]
        .reduce((sum, weights) => sum + weights / 32 * 34, 2 * width * 4);
      return [bytes.slice(-2 * layer, -layer), bytes.slice(-layer)];
    };
    const [first, second] = await layers(true);
    assertEquals(second, first);
    const [one, other] = await layers(false);
    assertEquals(one, first);
    assertNotEquals(other, one);
  }));

Deno.test("writeRandomModel keeps the tokenizer when it takes them from another model", () =>
  inFolder(async (folder) => {
    const [made, source] = [readMetadata(await write(folder, 1)), readMetadata(await Deno.readFile(BUILT_IN))];
    const kept = [...source].filter(([key]) => key.startsWith("tokenizer.ggml."));
    assert(kept.length >= 8);
    assertEquals([...made].filter(([key]) => key.startsWith("tokenizer.ggml.")), kept);
    assertEquals(made.get("llama.attention.head_count_kv"), { type: "uint32", value: 2 });
  }));

Deno.test("writeRandomModel has a token's vector in the row of the one that it recites after it", () =>
  inFolder(async (folder) => {
    const path = `${folder}/recites.gguf`;
    const recites = [["Ċ", "Ġthe", "Ġowl"]];
    await writeRandomModel(path, { tokenizerFrom: BUILT_IN, shape: SMALL, seed: 1, recites });
    const bytes = await Deno.readFile(path);
    const tokens = readMetadata(bytes).get("tokenizer.ggml.tokens")?.value as string[];
    const { width, feedForward } = SMALL;
    const layer = [width * width * 2, width * (width / 2) * 2, width * feedForward * 3]
      .reduce((sum, weights) => sum + weights / 32 * 34, 2 * width * 4);
    const matrix = VOCABULARY * ROW_BYTES;
    const output = bytes.subarray(bytes.length - layer - matrix, bytes.length - layer);
    // Between the two matrices is a norm.
    const end = bytes.length - layer - matrix - width * 4;
    const vectors = bytes.subarray(end - matrix, end);
    const rowOf = (rows: Uint8Array, token: string): Uint8Array => {
      const index = tokens.indexOf(token);
      return rows.slice(index * ROW_BYTES, (index + 1) * ROW_BYTES);
    };
    assertEquals(rowOf(output, "Ġthe"), rowOf(vectors, "Ċ"));
    assertEquals(rowOf(output, "Ġowl"), rowOf(vectors, "Ġthe"));
    assertEquals(rowOf(output, "Ġa"), new Uint8Array(ROW_BYTES));
  }));

Deno.test("writeRandomModel refuses a token to recite that the vocabulary does not have", () =>
  inFolder(async (folder) => {
    const options = { tokenizerFrom: BUILT_IN, shape: SMALL, seed: 1, recites: [["Ċ", "Ġzzzz"]] };
    await assertRejects(() => writeRandomModel(`${folder}/x.gguf`, options), TypeError, 'knows no token "Ġzzzz"');
  }));

Deno.test("writeRandomModel gives a token no chance when it is not plain text", () =>
  inFolder(async (folder) => {
    const bytes = await write(folder, 1);
    const tokens = readMetadata(bytes).get("tokenizer.ggml.tokens")?.value as string[];
    // The layer comes after the output matrix: 8 matrices and 2 norms.
    const { width, feedForward } = SMALL;
    const layer = [width * width * 2, width * (width / 2) * 2, width * feedForward * 3]
      .reduce((sum, weights) => sum + weights / 32 * 34, 2 * width * 4);
    const output = bytes.subarray(bytes.length - layer - VOCABULARY * ROW_BYTES, bytes.length - layer);
    const weightsOf = (token: string): Uint8Array => {
      const index = tokens.indexOf(token);
      assert(index >= 0, token);
      const row = output.subarray(index * ROW_BYTES, (index + 1) * ROW_BYTES);
      return new Uint8Array([...row.subarray(2, 34), ...row.subarray(36)]);
    };
    for (const silent of ["<|im_end|>", "<|endoftext|>", "<think>", "<tool_call>", "Ā"]) {
      assertEquals(weightsOf(silent), new Uint8Array(64), silent);
    }
    for (const spoken of ["e", "Ġa", "Ċ"]) assertNotEquals(weightsOf(spoken), new Uint8Array(64), spoken);
  }));
