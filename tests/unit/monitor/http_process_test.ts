import { assertEquals } from "@std/assert";
import { type Bridge, HttpProcess } from "../../../src/monitor/http_process.ts";
import type { ChildExit } from "../../../src/processes/monitor_link.ts";
import { LogRecorder } from "../../support/log_recorder.ts";

/** A bridge that ends when it is told to. */
function fakeBridge(pid: number): Bridge & { readonly die: (code: number) => void } {
  const { promise, resolve } = Promise.withResolvers<ChildExit>();
  const die = (code: number): void => resolve({ code, signal: null });
  return { started: Promise.resolve(pid), exited: promise, end: () => die(0), kill: () => die(137), die };
}

Deno.test("HttpProcess starts a bridge again that ended, until it is disposed of", async () => {
  const log = new LogRecorder();
  const bridges = [fakeBridge(1), fakeBridge(2)];
  let started = 0;
  {
    await using _process = new HttpProcess(() => bridges[started++] ?? fakeBridge(3), {
      log,
      firstDelayMs: 1,
    });
    bridges[0]?.die(9);
    assertEquals((await log.next("http_restarting")).fields.code, 9);
    assertEquals([(await log.next("http_started")).fields.pid, (await log.next("http_started")).fields.pid], [1, 2]);
  }
  assertEquals(started, 2);
});
