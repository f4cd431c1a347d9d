/** Who shares a download, who sees which progress, and when it is aborted. */
import { assertEquals, assertRejects } from "@std/assert";
import { ApiError } from "../../../src/http/api_error.ts";
import type { PullLine } from "../../../src/http/model_store.ts";
import { readOrder } from "../../../src/pulls/messages.ts";
import { MOST_PULLS, SharedPulls } from "../../../src/pulls/shared_pulls.ts";

const NEVER = new AbortController().signal;

/** A download that the test drives. */
interface Driven {
  readonly reference: string;
  readonly tell: (line: PullLine) => void;
  readonly signal: AbortSignal;
  readonly end: () => void;
  readonly fail: (error: unknown) => void;
}

function driven(): { readonly pulls: SharedPulls; readonly started: readonly Driven[] } {
  const started: Driven[] = [];
  const pulls = new SharedPulls((reference, tell, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    started.push({ reference, tell, signal, end: resolve, fail: reject });
    return promise;
  });
  return { pulls, started };
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`There is no entry ${index}`);
  return found;
}

async function next(lines: AsyncGenerator<PullLine>): Promise<PullLine | undefined> {
  const { done, value } = await lines.next();
  return done ? undefined : value;
}

Deno.test("SharedPulls gives a second caller the same download, and the progress so far", async () => {
  const { pulls, started } = driven();
  const first = pulls.follow("hf:a/b", NEVER);
  const pending = next(first);
  const { tell, end } = at(started, 0);
  tell({ status: "pulling manifest" });
  assertEquals(await pending, { status: "pulling manifest" });
  tell({ status: "pulling b", completed: 1 });
  tell({ status: "pulling b", completed: 2 });
  assertEquals(await next(first), { status: "pulling b", completed: 2 });
  const second = pulls.follow("hf:a/b", NEVER);
  assertEquals([await next(second), await next(second)], [{ status: "pulling manifest" }, {
    status: "pulling b",
    completed: 2,
  }]);
  tell({ status: "pulling b", completed: 3 });
  tell({ status: "success" });
  end();
  for (const lines of [first, second]) {
    assertEquals((await Array.fromAsync(lines)).map(({ status }) => status), ["pulling b", "success"]);
  }
  assertEquals(started.length, 1);
});

Deno.test("SharedPulls aborts a download when its last caller leaves, and starts anew for the next", async () => {
  const { pulls, started } = driven();
  const [one, other] = [new AbortController(), new AbortController()];
  const [first, second] = [pulls.follow("hf:a/b", one.signal), pulls.follow("hf:a/b", other.signal)];
  const [a, b] = [first.next(), second.next()];
  const { signal, fail } = at(started, 0);
  one.abort();
  await assertRejects(() => a, DOMException);
  assertEquals(signal.aborted, false);
  other.abort();
  await assertRejects(() => b, DOMException);
  assertEquals(signal.aborted, true);
  const third = pulls.follow("hf:a/b", NEVER).next();
  assertEquals(started.length, 2);
  // The aborted one ends only now, and does not end the new one.
  fail(signal.reason);
  at(started, 1).tell({ status: "success" });
  at(started, 1).end();
  assertEquals((await third).value, { status: "success" });
});

Deno.test("SharedPulls tells every caller why a download failed", async () => {
  const { pulls, started } = driven();
  const [first, second] = [pulls.follow("hf:a/b", NEVER).next(), pulls.follow("hf:a/b", NEVER).next()];
  at(started, 0).fail(new ApiError(404, "no such model"));
  for (const pending of [first, second]) await assertRejects(() => pending, ApiError, "no such model");
});

Deno.test("SharedPulls refuses more downloads at a time than there may be", async () => {
  const { pulls, started } = driven();
  const running = Array.from({ length: MOST_PULLS }, (_, index) => pulls.follow(`hf:a/${index}`, NEVER).next());
  const error = await assertRejects(() => pulls.follow("hf:a/more", NEVER).next(), ApiError, "wait for one of them");
  assertEquals(error.status, 429);
  for (const { end } of started) end();
  await Promise.all(running);
  const again = pulls.follow("hf:a/more", NEVER).next();
  at(started, MOST_PULLS).end();
  assertEquals((await again).done, true);
});

Deno.test("SharedPulls aborts everything when it is disposed of", async () => {
  const { pulls, started } = driven();
  const pending = pulls.follow("hf:a/b", NEVER).next();
  pulls[Symbol.dispose]();
  const { signal, fail } = at(started, 0);
  assertEquals(signal.aborted, true);
  fail(signal.reason);
  await assertRejects(() => pending, DOMException);
});

Deno.test("readOrder takes the three orders and nothing else", () => {
  const pull = { id: 1, word: "pull", reference: "hf:a/b" };
  assertEquals(readOrder(pull), pull as ReturnType<typeof readOrder>);
  for (const word of ["list", "cancel"] as const) assertEquals(readOrder({ id: 2, word }), { id: 2, word });
  for (
    const wrong of [
      null,
      "pull",
      { word: "list" },
      { id: "1", word: "list" },
      { id: 1, word: "remove" },
      { id: 1, word: "pull" },
      { id: 1, word: "pull", reference: 7 },
      { id: 1, word: "pull", reference: "x".repeat(1025) },
    ]
  ) assertEquals(readOrder(wrong), undefined);
});
