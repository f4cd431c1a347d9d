import { assert, assertEquals } from "@std/assert";
import { type Alphabet, Alphabets, firstFrom } from "../../../../src/grammar/automaton/alphabets.ts";
import { Chars } from "../../../../src/grammar/automaton/char_set.ts";
import { Scratch } from "../../../../src/grammar/automaton/scratch.ts";

function scratch(sets: readonly Chars[]): Scratch<Chars> {
  const all = new Scratch<Chars>();
  for (const set of sets) all.push(set);
  return all;
}

/** The kind of a character, as the automaton finds it. */
function kindOf({ rows, row, edges, wide }: Alphabet, char: number): number {
  if (char < 0x80) return rows[row + char] as number;
  return wide[(edges ?? new Int32Array()).findLastIndex((edge) => edge <= char)] as number;
}

/** Checks that characters are of one kind if and only if the same sets have them. */
function assertKinds(alphabets: Alphabets, sets: readonly Chars[]): void {
  const alphabet = alphabets.of(scratch(sets));
  const edges = alphabets.addWide(alphabet);
  const samples = [...Array.from({ length: 0x80 }, (_, char) => char), ...[...edges].map(firstFrom)];
  samples.push(0xd7ff, 0xe000, 0xe001, 0x1f600, 0x10ffff);
  const kinds = new Map<string, number>();
  for (const char of samples) {
    const having = [...sets.keys()].filter((set) => sets[set]?.has(char)).join();
    const kind = kindOf(alphabet, char);
    assertEquals(kind === 0, having === "", `${char}`);
    assertEquals(kinds.get(having) ?? kind, kind, `${char}`);
    kinds.set(having, kind);
    if (char < 0x80) assert(kind < alphabet.count);
  }
  assertEquals(new Set(kinds.values()).size, kinds.size, "others are of other kinds");
}

Deno.test("characters are of one kind when the same sets have them", () => {
  const alphabets = new Alphabets();
  const letters = new Chars([0x61, 0x7a]);
  const plain = new Chars([0x20, 0x21, 0x23, 0x5b, 0x5d, 0xd7ff, 0xe000, 0x10ffff]);
  const some = new Chars([0x30, 0x39, 0xe9, 0xe9, 0x1f600, 0x1f64f]);
  for (const sets of [[], [letters], [plain], [letters, plain], [plain, letters, some], [some, some, plain]]) {
    assertKinds(alphabets, sets);
  }
});

Deno.test("characters are told apart when there are more sets than numbers of kinds", () => {
  const singles = Array.from({ length: 0x5f }, (_, i) => new Chars([0x20 + i, 0x20 + i]));
  const many = Array.from({ length: 60 }, (_, i) => new Chars([0x20, 0x20 + i, 0x100 + i, 0x200 + 3 * i]));
  assertKinds(new Alphabets(), [...singles, ...many, ...singles, ...many]);
});

Deno.test("an alphabet is made once for the same sets", () => {
  const alphabets = new Alphabets();
  const [a, b] = [new Chars([0x61, 0x61]), new Chars([0x62, 0x62])];
  assertEquals(alphabets.of(scratch([a, b])) === alphabets.of(scratch([a, b])), true);
  assertEquals(alphabets.of(scratch([a, b])) === alphabets.of(scratch([b, a])), false);
});
