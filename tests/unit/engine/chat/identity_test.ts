/** What a template writes is what the parser reads and the grammar allows: for every family that renders calls. */
import { assert } from "@std/assert";
import { Chat } from "../../../../src/engine/chat/chat.ts";
import { CALLING, familyModel } from "../../../support/families/mod.ts";
import { checkIdentity, sayable } from "../../../support/identity.ts";

for (const family of CALLING) {
  Deno.test(`calls come back from the template of ${family.name} as they were, whatever is in them and however they are cut`, async () => {
    for (const kind of family.markersAre) {
      const model = familyModel(family, kind);
      const chat = await Chat.of(model, 100_000);
      assert(chat.dialect.call !== undefined);
      for (const [what, said] of Object.entries(sayable(model, chat, family.textBeforeCalls ?? true))) {
        checkIdentity(model, chat, said, `${family.name}, ${kind}, ${what}`);
      }
    }
  });
}
