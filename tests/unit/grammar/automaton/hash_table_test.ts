import { assertEquals } from "@std/assert";
import { hashOf, HashTable } from "../../../../src/grammar/automaton/hash_table.ts";

/** Looks a value up as the automaton does, and adds it where it is not. */
function intern(table: HashTable<{ readonly key: number }>, key: number, hash: number): { readonly key: number } {
  for (let at = table.first(hash);; at = table.next(at)) {
    const value = table.at(at);
    if (value === undefined) return table.add(at, hash, { key });
    if (value.key === key) return value;
  }
}

Deno.test("a hash table finds each value again, also where hashes are equal, and grows", () => {
  for (const hash of [(key: number): number => hashOf(0, key), (key: number): number => key % 3]) {
    const table = new HashTable<{ readonly key: number }>();
    const made = Array.from({ length: 500 }, (_, key) => intern(table, key, hash(key)));
    assertEquals(table.size, 500);
    for (const [key, value] of made.entries()) assertEquals(intern(table, key, hash(key)) === value, true);
    assertEquals(table.all, made);
    table.clear();
    assertEquals(table.size, 0);
    assertEquals(intern(table, 7, hash(7)) === made[7], false);
  }
});
