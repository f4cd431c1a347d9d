/** The table of mitigations names text and tests that are there, each once. */
import { assert, assertNotEquals, assertThrows } from "@std/assert";
import { MovedError, takeOut } from "./mutate.ts";
import { MITIGATIONS } from "./mutations.ts";

const ROOT = new URL("../../", import.meta.url);

for (const one of MITIGATIONS) {
  Deno.test(`the mitigation of "${one.threat}" is where the table says, and so is its test`, () => {
    const text = Deno.readTextFileSync(new URL(one.file, ROOT));
    assertNotEquals(takeOut(one, text), text);
    assert(Deno.statSync(new URL(one.test, ROOT)).isFile);
  });
}

Deno.test("a mitigation whose text is gone, or is there twice, is refused", () => {
  const one = { threat: "t", file: "f.ts", source: "guard();", replacement: "", test: "t.ts" };
  assertThrows(() => takeOut(one, "nothing"), MovedError, '"f.ts" has this text 0 times');
  assertThrows(() => takeOut(one, "guard(); guard();"), MovedError, "2 times");
});
