/** `engine/native/model.ts` over the native library. */
import { assert, assertEquals } from "@std/assert";
import { openLibrary } from "../../src/engine/native/library.ts";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { Model } from "../../src/engine/native/model.ts";
import { builtInModelFile } from "../../src/models/built_in.ts";

Deno.test("Model knows the tokens that end an answer without asking the native library for each", async () => {
  const library = openLibrary({ folder: await packagedFolder(), own: false });
  let asked = 0;
  const { llama_vocab_is_eog } = library.llama;
  const counting: typeof llama_vocab_is_eog = (vocabulary, token) => {
    asked++;
    return llama_vocab_is_eog(vocabulary, token);
  };
  const llama = { ...library.llama, llama_vocab_is_eog: counting };
  const model = await Model.load({ ...library, llama }, [builtInModelFile({ cacheDir: "" })], { vocabularyOnly: true });
  assertEquals(asked, model.vocabularySize);
  assert(model.endsAnswer(model.named.EOS));
  const ending = Array.from({ length: model.vocabularySize }, (_, token) => model.endsAnswer(token));
  assert(ending.filter((ends) => ends).length < 10);
  assertEquals(asked, model.vocabularySize);
  library.endLoading();
});
