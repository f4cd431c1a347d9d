/** What a template writes is what the parser reads and the grammar allows: for every family that renders calls. */
import { assert } from "@std/assert";
import { Chat } from "../../../../src/engine/chat/chat.ts";
import { CALLING, type Family, familyModel, type MarkerKind, MERGED } from "../../../support/families/mod.ts";
import { assertIdentity, sayable } from "../../../support/identity.ts";

/** What is tried with every kind of markers and vocabulary. */
const FEW = [
  "text before two calls",
  "no arguments",
  "quotes and signs",
  "objects and lists",
  "all markers in a string",
];

async function assertCallsComeBack(
  family: Family,
  { kind, texts = [], cases }: {
    readonly kind: MarkerKind;
    readonly texts?: readonly string[];
    readonly cases?: readonly string[];
  },
): Promise<void> {
  const model = familyModel(family, kind, texts);
  const chat = await Chat.of(model, 100_000);
  assert(chat.dialect.call !== undefined);
  for (const [what, said] of Object.entries(sayable(model, chat, family.textBeforeCalls ?? true))) {
    if (cases?.includes(what) === false) continue;
    assertIdentity(model, chat, said, { label: `${family.name}, ${kind}, ${what}`, everywhere: cases === undefined });
  }
}

for (const family of CALLING) {
  const [usual, ...others] = family.markersAre as [MarkerKind, ...MarkerKind[]];

  Deno.test(`calls of ${family.name} come back from its template as they were, whatever is in them and however they are cut`, async () => {
    await assertCallsComeBack(family, { kind: usual });
  });

  Deno.test(`calls of ${family.name} come back when markers are other tokens or none, and when tokens reach beyond them`, async () => {
    for (const kind of others) await assertCallsComeBack(family, { kind, cases: FEW });
    await assertCallsComeBack(family, { kind: usual, texts: MERGED, cases: FEW });
    if (others.includes("text")) await assertCallsComeBack(family, { kind: "text", texts: MERGED, cases: FEW });
  });
}
