import { assertEquals } from "@std/assert";
import { commonPrefix, type Slot, Slots } from "../../../../src/engine/generate/slots.ts";

/** Slots that hold these tokens, used in this order, all free. */
function slotsWith(cells: number, held: readonly (readonly number[])[], wholeSequencesOnly = false): Slots<string> {
  const slots = new Slots<string>(held.length, { cells, wholeSequencesOnly });
  for (const [i, tokens] of held.entries()) {
    const slot = slots.assign(`old ${i}`, [], { cells: 0 });
    slot.tokens.push(...tokens);
  }
  for (const slot of slots.all) slots.release(slot);
  return slots;
}

Deno.test("commonPrefix counts what two begin with", () => {
  assertEquals(commonPrefix([1, 2, 3], [1, 2, 4]), 2);
  assertEquals(commonPrefix([1, 2], [1, 2, 4]), 2);
  assertEquals(commonPrefix([], [1]), 0);
});

Deno.test("Slots gives the one that holds most of the prompt when that is most of what it holds", () => {
  const slots = slotsWith(100, [[1, 2, 3, 4], [1, 2, 9], [7]]);
  assertEquals(slots.assign("new", [1, 2, 3, 5], { cells: 10 }).sequence, 0);
});

Deno.test("Slots gives the one unused for longest when the best holds another conversation", () => {
  const slots = slotsWith(100, [[1, 2], [1, 2, 3, 7, 7, 7, 7, 7], [7]]);
  slots.release(slots.assign("later", [1, 2], { cells: 10 }));
  assertEquals(slots.assign("new", [1, 2, 3, 4, 5], { cells: 10 }).sequence, 1);
  assertEquals(slots.assign("newer", [8], { cells: 10 }).sequence, 2);
});

Deno.test("Slots gives the one that holds all of the prompt when it holds a long answer besides", () => {
  const slots = slotsWith(100, [[1, 2, 3, 7, 7, 7, 7, 7], [], []]);
  assertEquals(slots.assign("new", [1, 2, 3, 4], { cells: 10 }).sequence, 0);
});

Deno.test("Slots gives one beside those that run, of the half unused for longest, where each has cells of its own", () => {
  for (const apart of [false, true]) {
    const slots = new Slots<string>(8, { cells: 100, wholeSequencesOnly: false, apart });
    for (const slot of slots.all) slot.tokens.push(5);
    for (const sequence of [1, 3, 5, 7, 0, 2, 4, 6]) {
      const slot = slots.all[sequence];
      if (slot !== undefined) slots.release(slot);
    }
    const taken = Array.from({ length: 4 }, (_, i) => slots.assign(`${i}`, [9], { cells: 10 }).sequence);
    assertEquals(taken, apart ? [1, 0, 3, 2] : [1, 3, 5, 7]);
  }
});

Deno.test("Slots gives adjacent ones to requests that start together, where each has cells of its own", () => {
  const slots = new Slots<string>(8, { cells: 100, wholeSequencesOnly: false, apart: true });
  for (const slot of slots.all) slot.tokens.push(5);
  for (const sequence of [1, 3, 5, 7, 0, 2, 4, 6]) slots.release(slots.all[sequence] as Slot<string>);
  const taken = [4, 3, 2, 1].map((needed) => slots.assign(`${needed}`, [9], { cells: 10, needed }).sequence);
  assertEquals(taken, [1, 0, 2, 3]);
});

Deno.test("Slots gives an empty one before one that holds something", () => {
  const slots = slotsWith(100, [[1, 2, 3], [], [4]]);
  assertEquals(slots.assign("new", [9], { cells: 10 }).sequence, 1);
});

Deno.test("Slots does not give one that runs", () => {
  const slots = slotsWith(100, [[1, 2, 3], [4]]);
  assertEquals(slots.assign("a", [1, 2, 3], { cells: 10 }).sequence, 0);
  assertEquals(slots.assign("b", [1, 2, 3], { cells: 10 }).sequence, 1);
  assertEquals(slots.fits(1), false);
});

Deno.test("Slots finds a prefix in one that runs, too", () => {
  const slots = slotsWith(100, [[1, 2, 3], [4]]);
  slots.assign("a", [1, 2, 3], { cells: 10 });
  const prefix = slots.prefix([1, 2, 5]);
  assertEquals([prefix?.slot.sequence, prefix?.length], [0, 2]);
});

Deno.test("Slots lets a request start when the cells it may need are not promised to others", () => {
  const slots = slotsWith(100, [[], [], []]);
  const first = slots.assign("a", [1], { cells: 60 });
  assertEquals([slots.fits(40), slots.fits(41)], [true, false]);
  slots.release(first);
  assertEquals(slots.fits(100), true);
});

Deno.test("Slots empties those unused for longest until the promised cells are there, the spared one last", () => {
  const slots = slotsWith(20, [[1, 1, 1, 1, 1], [2, 2, 2, 2, 2], [3, 3, 3, 3, 3], []]);
  assertEquals(slots.toEmpty(), []);
  slots.assign("a", [9], { cells: 8 });
  assertEquals(slots.toEmpty().map(({ sequence }) => sequence), [0]);
  assertEquals(slots.toEmpty(slots.all[0]).map(({ sequence }) => sequence), [1]);
});

Deno.test("Slots leaves the last token of a prompt to be decoded", () => {
  const slots = slotsWith(100, [[1, 2, 3]]);
  assertEquals([slots.prefix([1, 2, 3])?.length, slots.prefix([1])?.length], [2, 0]);
});

Deno.test("Slots continues only what a prompt begins with as a whole when a sequence cannot be cut", () => {
  const slots = slotsWith(100, [[1, 2, 3, 4], [1, 2]], true);
  assertEquals(slots.all.map((slot) => slots.usable(slot, [1, 2, 3, 5])), [0, 2]);
  assertEquals(slots.prefix([1, 2, 3, 5]), undefined);
  assertEquals(slots.assign("new", [1, 2, 3, 5], { cells: 10 }).sequence, 1);
});
