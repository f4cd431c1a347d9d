import { assertEquals, assertThrows } from "@std/assert";
import type { BackendState } from "../../../src/inference/backend.ts";
import { BackendUnavailableError } from "../../../src/inference/errors.ts";
import { Router } from "../../../src/pipeline/router.ts";
import { ControlledBackend } from "../../support/controlled_backend.ts";

function open(router: Router): void {
  for (let failures = 0; failures < 3; failures++) router.dispatch("v1").report("failure");
}

Deno.test("dispatch takes the first backend that is ready, in the operator's order", () => {
  const [one, two, three] = [new ControlledBackend("1"), new ControlledBackend("2"), new ControlledBackend("3")];
  const router = new Router([one, two, three]);
  assertEquals(router.dispatch("v1").backend.name, "1");
  for (const state of ["loading", "restarting", "down", "stopped"] satisfies BackendState[]) {
    one.state = state;
    assertEquals(router.dispatch("v1").backend.name, "2");
  }
  two.state = "restarting";
  assertEquals(router.dispatch("v1").backend.name, "3");
  one.state = "ready";
  assertEquals(router.dispatch("v1").backend.name, "1");
});

Deno.test("dispatch throws when no backend can be taken", () => {
  const backend = new ControlledBackend();
  const router = new Router([backend]);
  backend.state = "restarting";
  assertThrows(() => router.dispatch("v1"), BackendUnavailableError, "No backend is available");
  assertThrows(() => new Router([]).dispatch("v1"), BackendUnavailableError);
});

Deno.test("dispatch passes a backend by while its breaker is open or its trial runs", () => {
  let now = 0;
  const changes: string[] = [];
  const router = new Router([new ControlledBackend("1"), new ControlledBackend("2")], {
    now: () => now,
    onBreaker: (backend, change) => changes.push(`${backend} ${change}`),
  });
  open(router);
  assertEquals(router.dispatch("v1").backend.name, "2");
  now = 30_000;
  const trial = router.dispatch("v1");
  assertEquals([trial.backend.name, router.dispatch("v1").backend.name], ["1", "2"]);
  trial.report("success");
  assertEquals(router.dispatch("v1").backend.name, "1");
  assertEquals(changes, ["1 opened", "1 closed"]);
});

Deno.test("a backend that is not ready takes no trial", () => {
  let now = 0;
  const backend = new ControlledBackend("1");
  const router = new Router([backend, new ControlledBackend("2")], { now: () => now });
  open(router);
  now = 30_000;
  backend.state = "restarting";
  assertEquals(router.dispatch("v1").backend.name, "2");
  backend.state = "ready";
  assertEquals(router.dispatch("v1").backend.name, "1");
});

Deno.test("breakers are apart: one backend's failures do not count for another", () => {
  const router = new Router([new ControlledBackend("1"), new ControlledBackend("2")], { now: () => 0 });
  open(router);
  router.dispatch("v1").report("failure");
  router.dispatch("v1").report("failure");
  assertEquals(router.dispatch("v1").backend.name, "2");
});

Deno.test("a revived backend is taken at once though its breaker was open", () => {
  const router = new Router([new ControlledBackend("1"), new ControlledBackend("2")], { now: () => 0 });
  open(router);
  router.revived("2");
  assertEquals(router.dispatch("v1").backend.name, "2");
  router.revived("1");
  assertEquals(router.dispatch("v1").backend.name, "1");
});
