import { assertEquals } from "@std/assert";
import { ValueCounter } from "../../../src/server/value_counter.ts";

const encoder = new TextEncoder();

for (
  const [line, values] of [
    ["1", 1],
    ["[[],{},3]", 6],
    ['{"a":"[,{","b":"\\"[,\\\\","c":1}', 4],
  ] as const
) {
  Deno.test(`the values of ${line} are counted alike in one piece and byte by byte`, () => {
    const [whole, single] = [new ValueCounter(), new ValueCounter()];
    whole.add(encoder.encode(line));
    for (const byte of encoder.encode(line)) single.add(Uint8Array.of(byte));
    assertEquals([whole.values, single.values], [values, values]);
  });
}

Deno.test("counting starts again with every line", () => {
  const counter = new ValueCounter();
  counter.add(encoder.encode('[1,2,"'));
  counter.add(encoder.encode("\n[[\n[1,"));
  assertEquals(counter.values, 3);
});
