import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { ConnectError, TimeoutError } from "@inferd/client";
import { persist, within } from "../../client/patience.ts";

const what = "reach it";

function refused(retryable: boolean): ConnectError {
  return new ConnectError("Cannot connect", { endpoint: "unix:/x", retryable });
}

Deno.test("persist pauses 100 ms, then twice as long each time, up to 5 s", async () => {
  using time = new FakeTime(0);
  const attempts: number[] = [];
  const outcome = persist(() => {
    attempts.push(time.now);
    return attempts.length < 10 ? Promise.reject(refused(true)) : Promise.resolve("here");
  }, { what, timeoutMs: 60_000, call: new Error() });
  // A pause begins when the attempt before it has failed: they come due one by one.
  while (attempts.length < 10 && await time.nextAsync());
  assertEquals(await outcome, "here");
  assertEquals(attempts, [0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300, 21_300]);
});

Deno.test("persist fails at once when waiting does not mend it", async () => {
  let attempts = 0;
  for (const error of [refused(false), new TypeError("mine")]) {
    const outcome = persist(() => {
      attempts++;
      return Promise.reject(error);
    }, { what, timeoutMs: 60_000, call: new Error() });
    assertEquals(await outcome.catch((error: unknown) => error), error);
  }
  assertEquals(attempts, 2);
});

Deno.test("persist tries once when the timeout is 0", async () => {
  let attempts = 0;
  const attempt = (): Promise<never> => {
    attempts++;
    return Promise.reject(refused(true));
  };
  await assertRejects(() => persist(attempt, { what, timeoutMs: 0, call: new Error() }), ConnectError);
  assertEquals(attempts, 1);
});

Deno.test("persist throws TimeoutError with the last failure and the caller's stack when time is over", async () => {
  using time = new FakeTime(0);
  const last = refused(true);
  const call = new Error();
  const outcome = assertRejects(
    () => persist(() => Promise.reject(last), { what, timeoutMs: 1_000, call }),
    TimeoutError,
    "Cannot reach it within 1000 ms: Cannot connect",
  );
  for (const at of [100, 300, 700, 1_000]) {
    await time.nextAsync();
    assertEquals(time.now, at);
  }
  const error = await outcome;
  assertEquals([error.cause, error.retryable], [last, true]);
  assertStringIncludes(error.stack ?? "", "patience_test.ts");
});

Deno.test("persist interrupts an attempt that hangs when time is over", async () => {
  using time = new FakeTime(0);
  const outcome = assertRejects(
    () =>
      persist(
        (signal) => new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
        {
          what,
          timeoutMs: 1_000,
          call: new Error(),
        },
      ),
    TimeoutError,
  );
  await time.tickAsync(1_000);
  await outcome;
});

Deno.test("persist throws the signal's reason when it is aborted before, during or between attempts", async () => {
  using time = new FakeTime(0);
  // Of the client's own class, and yet the caller's.
  const reason = new TimeoutError("mine");
  const call = new Error();
  const before = persist(() => Promise.resolve("here"), {
    what,
    timeoutMs: 1_000,
    signal: AbortSignal.abort(reason),
    call,
  });
  assertEquals(await before.catch((error: unknown) => error), reason);

  const during = new AbortController();
  const attempt = persist(
    (signal) => new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(new Error("other")))),
    { what, timeoutMs: 1_000, signal: during.signal, call },
  );
  during.abort(reason);
  assertEquals(await attempt.catch((error: unknown) => error), reason);

  const between = new AbortController();
  const pause = persist(() => Promise.reject(refused(true)), {
    what,
    timeoutMs: Infinity,
    signal: between.signal,
    call,
  });
  await time.tickAsync(50);
  between.abort(reason);
  assertEquals(await pause.catch((error: unknown) => error), reason);
});

Deno.test("within leaves neither timer nor listener when it is through", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = AbortSignal.prototype;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    return addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    return removeEventListener.apply(signal, args);
  };
  // The sanitizer notices a timer that is left.
  assertEquals(await within(() => Promise.resolve(1), { what, timeoutMs: 10_000, signal, call: new Error() }), 1);
  assertEquals(listeners, 0);
});
