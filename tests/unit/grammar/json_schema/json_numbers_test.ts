import { assert, assertEquals } from "@std/assert";
import { Languages } from "../../../../src/grammar/language/language.ts";
import { isWithin, type NumberBounds, numbersWithin } from "../../../../src/grammar/json_schema/json_numbers.ts";
import { randomNumbers } from "./support.ts";

const BOUNDS: readonly NumberBounds[] = [
  { integer: true },
  { least: 0 },
  { integer: true, least: 5, most: 233 },
  { least: 0, above: true, most: 1 },
  { multipleOf: [0.01] },
  { integer: true, multipleOf: [7], least: 20, most: 100 },
  { multipleOf: [2.5], least: -10 },
  { least: -0.25, most: 1.125, below: true },
  { integer: true, least: 1e30 },
  { integer: true, multipleOf: [6, 4] },
  { multipleOf: [100], least: 1 },
  { least: 0.30000000000000004, above: true, most: 3 },
  { integer: true, least: -9223372036854775808, most: 9223372036854775807 },
  { most: -1.75 },
];
for (const bounds of BOUNDS) {
  Deno.test(`numbers are those within bounds when they are ${JSON.stringify(bounds)}`, () => {
    const languages = new Languages();
    const numbers = numbersWithin(bounds, languages);
    const random = randomNumbers(3);
    let found = 0;
    for (let i = 0; i < 200; i++) {
      let at = numbers;
      let text = "";
      for (let length = 0; length < 400 && !(at.nullable && random() < 0.3); length++) {
        const moves = languages.moves(at);
        if (moves.length === 0) break;
        const { chars, to } = moves[Math.floor(random() * moves.length)] as (typeof moves)[number];
        text += String.fromCodePoint(chars[0] as number);
        at = to;
      }
      if (!at.nullable) continue;
      found++;
      assert(isWithin(JSON.parse(text), bounds), text);
    }
    assert(found > 50);
    for (let i = 0; i < 1000; i++) {
      const value = Number(((random() - 0.4) * 10 ** Math.ceil(random() * 6 - 2)).toFixed(Math.floor(random() * 6)));
      const text = String(value === 0 ? 0 : value);
      if (!text.includes("e")) assertEquals(languages.has(numbers, text), isWithin(value, bounds), text);
    }
  });
}

Deno.test("no numbers are within bounds when there are none between them", () => {
  const languages = new Languages();
  assertEquals(numbersWithin({ integer: true, least: 1.2, most: 1.8 }, languages), languages.none);
});
