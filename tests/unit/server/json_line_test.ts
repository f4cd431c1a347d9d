import { assertEquals, assertThrows } from "@std/assert";
import { InvalidRequestError } from "../../../src/inference/errors.ts";
import { MAX_JSON_VALUES } from "../../../src/inference/json_bounds.ts";
import { parseLine } from "../../../src/server/json_line.ts";

const TOO_MANY = `The line holds more than ${MAX_JSON_VALUES} JSON values`;

Deno.test("parseLine parses JSON and refuses anything else", () => {
  assertEquals(parseLine('{"a":[1,null,"x"]}'), { a: [1, null, "x"] });
  for (const line of ["", "x", "{", '{"a":1}}', "\0", "'a'"]) {
    assertThrows(() => parseLine(line), InvalidRequestError, "The line is not valid JSON");
  }
});

Deno.test("parseLine takes as many values as may be and refuses one more", () => {
  // The array is a value, too.
  const most = `[${"1,".repeat(MAX_JSON_VALUES - 2)}1]`;
  assertEquals((parseLine(most) as unknown[]).length, MAX_JSON_VALUES - 1);
  assertThrows(() => parseLine(`[${"1,".repeat(MAX_JSON_VALUES)}1]`), InvalidRequestError, TOO_MANY);
});

Deno.test("parseLine refuses values of every kind and depth when they are too many", () => {
  const count = MAX_JSON_VALUES + 1;
  const bombs = [
    "[".repeat(count),
    `[${"{},".repeat(count)}{}]`,
    `{${'"a":1,'.repeat(count)}"b":1}`,
    '{"a":'.repeat(count),
  ];
  for (const bomb of bombs) assertThrows(() => parseLine(bomb), InvalidRequestError, TOO_MANY);
});

Deno.test("parseLine counts nothing inside strings, whatever is escaped there", () => {
  const count = MAX_JSON_VALUES + 1;
  for (const text of ["[,{".repeat(count), '\\"[,{'.repeat(count), '"[,{'.repeat(count), `${"\\".repeat(count)}[,{`]) {
    assertEquals(parseLine(JSON.stringify({ text, after: 1 })), { text, after: 1 });
  }
});

Deno.test("parseLine leaves a long string without end to the parser", () => {
  for (const line of [`"${"x".repeat(MAX_JSON_VALUES * 2)}`, `"${"x".repeat(MAX_JSON_VALUES * 2)}\\"`]) {
    assertThrows(() => parseLine(line), InvalidRequestError, "The line is not valid JSON");
  }
});
