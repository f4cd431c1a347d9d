import { assertEquals } from "@std/assert";
import { Breaker, type Outcome } from "../../../src/pipeline/breaker.ts";

/** A breaker with a clock that stands still until told. */
class BreakerUnderTest {
  now = 0;
  readonly changes: string[] = [];
  readonly breaker = new Breaker(() => this.now, (change) => this.changes.push(change));

  /** One request after the other. */
  outcomes(...outcomes: Outcome[]): void {
    for (const outcome of outcomes) this.breaker.pass()(outcome);
  }
}

Deno.test("a breaker opens when the third failure comes within a minute", () => {
  const test = new BreakerUnderTest();
  test.outcomes("failure");
  test.now = 30_000;
  test.outcomes("failure");
  test.now = 59_999;
  assertEquals(test.breaker.passable, true);
  test.outcomes("failure");
  assertEquals([test.breaker.passable, test.changes], [false, ["opened"]]);
});

Deno.test("a breaker stays closed when the first of three failures is a minute old", () => {
  const test = new BreakerUnderTest();
  test.outcomes("failure", "failure");
  test.now = 60_000;
  test.outcomes("failure");
  assertEquals(test.breaker.passable, true);
  // The window slides: two of the last minute and the third.
  test.outcomes("failure", "failure");
  assertEquals(test.breaker.passable, false);
});

Deno.test("a success clears the window, however many failures come within it", () => {
  const test = new BreakerUnderTest();
  for (let count = 0; count < 100; count++) test.outcomes("failure", "failure", "success");
  assertEquals([test.breaker.passable, test.changes], [true, []]);
  test.outcomes("failure", "failure", "failure");
  assertEquals(test.breaker.passable, false);
});

Deno.test("a breaker does not count neutral outcomes, and they clear nothing", () => {
  const test = new BreakerUnderTest();
  test.outcomes("failure", "neutral", "failure", "neutral", "neutral");
  assertEquals(test.breaker.passable, true);
  test.outcomes("failure");
  assertEquals(test.breaker.passable, false);
});

Deno.test("an open breaker lets nothing through for 30 seconds, then one trial while others pass it by", () => {
  const test = new BreakerUnderTest();
  test.outcomes("failure", "failure", "failure");
  test.now = 29_999;
  assertEquals(test.breaker.passable, false);
  test.now = 30_000;
  assertEquals(test.breaker.passable, true);
  const report = test.breaker.pass();
  assertEquals(test.breaker.passable, false);
  report("success");
  assertEquals([test.breaker.passable, test.changes], [true, ["opened", "closed"]]);
});

Deno.test("a failed trial opens the breaker for another 30 seconds", () => {
  const test = new BreakerUnderTest();
  test.outcomes("failure", "failure", "failure");
  test.now = 30_000;
  test.outcomes("failure");
  assertEquals([test.breaker.passable, test.changes], [false, ["opened", "opened"]]);
  test.now = 59_999;
  assertEquals(test.breaker.passable, false);
  test.now = 60_000;
  assertEquals(test.breaker.passable, true);
});

Deno.test("a trial that proves nothing frees its place and neither closes nor opens", () => {
  const test = new BreakerUnderTest();
  test.outcomes("failure", "failure", "failure");
  test.now = 30_000;
  test.outcomes("neutral");
  assertEquals([test.breaker.passable, test.changes], [true, ["opened"]]);
  const report = test.breaker.pass();
  assertEquals(test.breaker.passable, false);
  report("failure");
  assertEquals(test.changes, ["opened", "opened"]);
});

Deno.test("a breaker that has closed needs three new failures to open", () => {
  const test = new BreakerUnderTest();
  test.outcomes("failure", "failure", "failure");
  test.now = 30_000;
  test.outcomes("success", "failure", "failure");
  assertEquals(test.breaker.passable, true);
  test.outcomes("failure");
  assertEquals(test.breaker.passable, false);
});

Deno.test("requests from before a breaker opened neither lengthen nor end that", () => {
  const test = new BreakerUnderTest();
  const [late, early] = [test.breaker.pass(), test.breaker.pass()];
  test.outcomes("failure", "failure", "failure");
  test.now = 20_000;
  late("failure");
  early("success");
  assertEquals(test.breaker.passable, false);
  test.now = 30_000;
  assertEquals([test.breaker.passable, test.changes], [true, ["opened"]]);
});

Deno.test("a request is counted once, however often it is reported", () => {
  const test = new BreakerUnderTest();
  const report = test.breaker.pass();
  for (let times = 0; times < 3; times++) report("failure");
  assertEquals(test.breaker.passable, true);
});

Deno.test("a reset closes a breaker, forgets its failures and what is reported from before", () => {
  const test = new BreakerUnderTest();
  test.outcomes("failure", "failure", "failure");
  test.now = 30_000;
  const trial = test.breaker.pass();
  test.breaker.reset();
  assertEquals([test.breaker.passable, test.changes], [true, ["opened", "closed"]]);
  trial("failure");
  test.outcomes("failure", "failure");
  assertEquals(test.breaker.passable, true);
  test.outcomes("failure");
  assertEquals(test.breaker.passable, false);
});
