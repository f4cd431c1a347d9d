import { assertAlmostEquals, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { median, missedBy, percentile, type Row, table } from "../../../bench/report.ts";

const SPEED: Row = {
  section: "A",
  figure: "speed",
  unit: "tokens/s",
  peer: 100,
  ours: 114,
  goal: { kind: "ratio-at-least", value: 1.2 },
};

Deno.test("median lies between the two middle values when their number is even", () => {
  assertEquals([median([9]), median([3, 100, 1]), median([4, 1, 3, 2])], [9, 3, 2.5]);
  assertThrows(() => median([]), RangeError);
});

Deno.test("percentile gives one of the values when asked for any part of them", () => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index);
  assertEquals([percentile(values, 0), percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)], [
    1,
    100,
    198,
    200,
  ]);
  assertThrows(() => percentile([], 0.5), RangeError);
});

Deno.test("missedBy tells the part of the goal that lacks when a figure is held against it", () => {
  assertAlmostEquals(missedBy(SPEED) ?? NaN, 0.05, 1e-9);
  assertAlmostEquals(missedBy({ ...SPEED, goal: { kind: "ratio-at-most", value: 1 } }) ?? NaN, 0.14, 1e-9);
  assertAlmostEquals(missedBy({ ...SPEED, goal: { kind: "at-most", value: 228 } }) ?? NaN, -0.5, 1e-9);
  assertAlmostEquals(missedBy({ ...SPEED, goal: { kind: "at-least", value: 228 } }) ?? NaN, 0.5, 1e-9);
});

Deno.test("missedBy tells nothing when there is no goal, no peer or no figure of ours", () => {
  const { goal: _goal, ...aimless } = SPEED;
  const { peer: _peer, ...alone } = SPEED;
  const { ours: _ours, ...absent } = SPEED;
  assertEquals([aimless, alone, absent].map(missedBy), [undefined, undefined, undefined]);
});

Deno.test("table says reached, missed or not measured when a line has a goal", () => {
  const { peer: _peer, ...alone } = SPEED;
  const lines = table([SPEED, { ...SPEED, ours: 121 }, { ...alone, section: "B" }], false).split("\n");
  assertEquals(lines.length, 6);
  assertStringIncludes(lines[1] ?? "", "1.14  >= 1.20 x  missed by 5 %");
  assertStringIncludes(lines[2] ?? "", "reached");
  assertStringIncludes(lines[5] ?? "", "not measured");
});
