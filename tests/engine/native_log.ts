// Run with the engine's flags: computes with changing numbers of threads after all permissions were given back, then asks
// for what llama.cpp refuses. What it logs of that goes to stderr.
import { fromFileUrl } from "@std/path";
import { Context } from "../../src/engine/native/context.ts";
import { openLibrary } from "../../src/engine/native/library.ts";
import { Model } from "../../src/engine/native/model.ts";
import { confine } from "../../src/engine/permissions.ts";
import { packagedFolder } from "../../src/libraries/library_files.ts";
import { BUILT_INS } from "../../src/models/built_in.ts";

const library = openLibrary({ folder: await packagedFolder(), own: false });
const model = Model.load(library, [fromFileUrl(BUILT_INS["inferd-tiny"].url)], {});
const options = { contextTokens: 512, parallel: 1, kept: [], threads: 2, memoryBytes: 1e9, lookIn: () => false };
const context = new Context(library, model, options);
library.endLoading({ alone: true });
confine("cpu");
console.error("serving");
for (let at = 0; at < 200; at++) {
  // Prompts and answers take different numbers of threads.
  const tokens = at % 4 === 0 ? 100 : 1;
  context.clear();
  for (let position = 0; position < tokens; position++) context.put(5, position, 0, position === tokens - 1);
  context.decode();
}
try {
  context.put(1_000_000, 0, 0, true);
  context.decode();
} catch (error) {
  console.log(error instanceof Error ? error.message : error);
}
