/** Long template text, which is tokenized in portions, over the native library. */
import { assert, assertEquals } from "@std/assert";
import { SpecialTokens } from "../../src/engine/chat/dialect/marker.ts";
import { promptTokens } from "../../src/engine/chat/render/prompt_tokens.ts";
import { openLibrary } from "../../src/engine/native/library.ts";
import { Model } from "../../src/engine/native/model.ts";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { builtInModelFile } from "../../src/models/built_in.ts";
import { finish } from "../../src/work/work.ts";

Deno.test("A long text has the tokens of the whole when it is tokenized in portions, whatever surrounds its control tokens", async () => {
  const library = openLibrary({ folder: await packagedFolder(), own: false });
  const model = Model.load(library, [builtInModelFile({ cacheDir: "" })], { vocabularyOnly: true });
  const { named, spacePrefix, specialTokens } = model;
  const names = specialTokens.map(({ name }) => name);
  const fillers = [
    "hello",
    " ",
    "\n",
    "  ",
    "é",
    "<",
    "|>",
    "<|",
    "1234",
    "日本",
    "a ",
    ...names.map((name) => name.slice(1)),
  ];
  // The same texts each time.
  let seed = 1;
  const random = (below: number): number => (seed = seed * 48_271 % 2_147_483_647) % below;
  for (let round = 0; round < 60; round++) {
    let text = "";
    while (text.length < 10_000 + random(10_000)) {
      text += random(3) === 0 ? names[random(names.length)] : fillers[random(fillers.length)];
    }
    let portions = 0;
    const tokens = finish(promptTokens({ text, input: [] }, {
      model: {
        named,
        addsBos: false,
        spacePrefix,
        specialTokens,
        tokenize: (part, special) => {
          portions++;
          return model.tokenize(part, special);
        },
      },
      guarded: new SpecialTokens(specialTokens),
    }));
    assert(portions > 1, `${portions} portions`);
    assertEquals(Array.from(tokens), Array.from(model.tokenize(text, true)));
  }
  library.endLoading();
});
