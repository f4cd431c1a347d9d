/** Threat: work on one body keeps the bridge from everybody else. */
import { assertEquals } from "@std/assert";
import { CallArguments } from "../../../src/http/openai/fields.ts";
import { Slices } from "../../../src/http/slices.ts";
import { PaceUnderTest } from "../../support/paces.ts";
import { nextTurn } from "../../support/waiting.ts";

Deno.test("work on a body pauses after a slice for what it took, here and elsewhere, and not while nothing runs", async () => {
  const test = new PaceUnderTest();
  const slices = new Slices(test.pace);
  for (const [running, pauses] of [[1, 1], [0, 0]] as const) {
    test.running = running;
    test.pauses.length = 0;
    await slices.next(4);
    assertEquals(test.pauses.length, pauses);
  }
});

Deno.test("arguments of a call of many megabytes are parsed while others are served", async () => {
  const input = { texts: Array.from({ length: 100_000 }, (_, index) => `${index} ${"word ".repeat(20)}`) };
  let isRead = false;
  const reading = new CallArguments().read(JSON.stringify(input), "arguments", new Slices()).finally(() =>
    isRead = true
  );
  let turns = 0;
  for (; !isRead; turns++) await nextTurn();
  assertEquals([(await reading).texts, turns > 2], [input.texts, true]);
});
