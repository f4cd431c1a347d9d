/** Whole answers, as models write them; which of them were recorded says `model_outputs.ts`. */
import { assert } from "@std/assert";
import { type ModelOutput, OFFERED, RECORDED, REPORTED } from "../../../support/model_outputs.ts";
import { assertParsed } from "../../../support/parsing.ts";

function assertAllParsed(outputs: readonly ModelOutput[]): void {
  for (const { text, reading, means } of outputs) assertParsed(text, { tools: OFFERED, ...reading }, means);
}

Deno.test("Parser reads what the built-in model wrote, however the text is cut", () => {
  assertAllParsed(RECORDED);
});

for (const family of ["Qwen", "Llama", "Mistral", "Gemma", "gpt-oss"] as const) {
  Deno.test(`Parser reads what ${family} was seen to write, mistakes included, however the text is cut`, () => {
    const outputs = REPORTED.filter((output) => output.family === family);
    assert(outputs.length >= 4);
    assertAllParsed(outputs);
  });
}
