/** A model that fills in text. */
import { BUILT_INS } from "../../src/models/built_in.ts";
import { withMetadata } from "./gguf_files.ts";

/** Ids of the marks, in the order of their names. */
const MARKS = { pre: 20, suf: 21, mid: 22, rep: 23, sep: 24 } as const;

/**
 * Write the built-in model with tokens in its vocabulary to fill in text with.
 *
 * @param names Which of the marks its file names.
 */
export async function writeInfillModel(
  path: string,
  names: readonly (keyof typeof MARKS)[] = ["pre", "suf", "mid"],
): Promise<void> {
  const more = new Map(
    names.map((name) => [`tokenizer.ggml.fim_${name}_token_id`, { type: "uint32" as const, value: MARKS[name] }]),
  );
  await Deno.writeFile(path, await withMetadata(await Deno.readFile(BUILT_INS["inferd-tiny"].url), more));
}
