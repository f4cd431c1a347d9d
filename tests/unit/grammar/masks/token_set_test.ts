import { assert, assertEquals } from "@std/assert";
import { Draft, TokenSet } from "../../../../src/grammar/masks/token_set.ts";

const SIZE = 1000;

function tokens(set: TokenSet): number[] {
  const bits = set.bits();
  return Array.from({ length: SIZE }, (_, token) => token).filter((token) =>
    ((bits[token >> 5] as number) >>> (token & 31) & 1) === 1
  );
}

Deno.test("a set of tokens has what was added to another and not what was removed", () => {
  const base = new TokenSet(SIZE, Uint32Array.from({ length: 32 }, (_, word) => word === 0 ? 0b1011 : 0));
  const first = new Draft(base, SIZE);
  for (const token of [2, 2, 999, 3]) first.add(token);
  for (const token of [0, 0, 500]) first.remove(token);
  const one = first.done();
  assertEquals(tokens(one), [1, 2, 3, 999]);
  // The next one takes the memory of the first.
  const second = new Draft(one, SIZE);
  second.add(0);
  second.remove(2);
  assertEquals(tokens(second.done()), [0, 1, 3, 999]);
  assertEquals(tokens(one), [1, 2, 3, 999]);
  assertEquals(tokens(base), [0, 1, 3]);
  assertEquals(tokens(new Draft(base, SIZE).done()), [0, 1, 3]);
});

Deno.test("a set of tokens takes no more memory than a bit for each when it differs in many", () => {
  const draft = new Draft(new TokenSet(SIZE), SIZE);
  const odd = Array.from({ length: 500 }, (_, i) => 2 * i + 1);
  for (const token of odd) draft.add(token);
  const set = draft.done();
  assertEquals(tokens(set), odd);
  assert(set.bytes < 500, `${set.bytes}`);
  // Somewhere that is used again.
  const into = new Uint32Array(32).fill(~0);
  assertEquals(new TokenSet(SIZE).bits(into), new Uint32Array(32));
  assertEquals(set.bits(into), set.bits());
});
