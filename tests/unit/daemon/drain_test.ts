import { assertEquals, assertRejects } from "@std/assert";
import { StatusBoard } from "../../../src/admin/status.ts";
import { disposeAll, endDaemon } from "../../../src/daemon/drain.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

/** A stack whose disposers note that they ran; those named fail. */
function stackOf(names: readonly string[], failing: readonly string[], notes: string[]): AsyncDisposableStack {
  const built = new AsyncDisposableStack();
  for (const name of names) {
    built.defer(async () => {
      await Promise.resolve();
      notes.push(name);
      if (failing.includes(name)) throw new Error(`no ${name}`);
    });
  }
  return built;
}

Deno.test("disposeAll disposes the last first, past those that fail, and throws all failures in their order", async () => {
  const notes: string[] = [];
  const error = await assertRejects(
    () => disposeAll(stackOf(["a", "b", "c", "d"], ["d", "b", "a"], notes), new Error("why")),
    AggregateError,
    "Could not clean up: why; no d; no b; no a",
  );
  assertEquals(notes, ["d", "c", "b", "a"]);
  assertEquals(error.errors.map(String), ["Error: why", "Error: no d", "Error: no b", "Error: no a"]);
  await disposeAll(stackOf(["a"], [], notes), new Error("why"));
});

Deno.test("endDaemon says so, drains, disposes although draining fails, and rejects with what came first", async () => {
  const notes: string[] = [];
  const board = new StatusBoard({ queue: () => ({ active: 0, waiting: 0, depth: 1 }) });
  const log = new LogRecorder();
  const ending = endDaemon({
    board,
    log,
    built: stackOf(["a"], [], notes),
    drain: () => {
      notes.push(board.state);
      return Promise.reject(new Error("no drain"));
    },
    drainTimeoutSecs: 10,
  });
  await assertRejects(() => ending, Error, "no drain");
  assertEquals(notes, ["draining", "a"]);
  assertEquals(log.records.map(({ msg }) => msg), ["stopped"]);
});

Deno.test("endDaemon cuts what still runs when the time is over", async () => {
  let cuts = 0;
  await endDaemon({
    board: new StatusBoard({ queue: () => ({ active: 0, waiting: 0, depth: 1 }) }),
    log: new LogRecorder(),
    built: new AsyncDisposableStack(),
    drain: (cut) =>
      new Promise((resolve) =>
        cut.addEventListener("abort", () => {
          cuts++;
          resolve();
        })
      ),
    drainTimeoutSecs: 0.001,
  });
  assertEquals(cuts, 1);
});
