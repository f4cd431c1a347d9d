/** Models that are loaded by requests and leave again, with backends whose life the test directs. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { LoadedModels } from "../../../../src/backend/on_demand/loaded_models.ts";
import { OnDemandBackend, type OnDemandOptions, type Room } from "../../../../src/backend/on_demand/on_demand.ts";
import type { BackendCapabilities, BackendNotice } from "../../../../src/inference/backend.ts";
import { BackendUnavailableError, NotEnoughMemoryError } from "../../../../src/inference/errors.ts";
import type { BackendEvent } from "../../../../src/inference/events.ts";
import { type GenerationRequest, PLAIN } from "../../../../src/inference/request.ts";
import { CONTROLLED_CAPABILITIES } from "../../../support/controlled_backend.ts";
import { Mailbox } from "../../../support/mailbox.ts";
import { StagedBackend } from "../../../support/staged_backend.ts";

const REQUEST: GenerationRequest = {
  messages: [{ role: "user", content: "Hello" }],
  sampling: { temperature: 0, topP: 1, topK: 0 },
  maxTokens: 4,
  stop: [],
  ...PLAIN,
};

class Loadable extends StagedBackend {
  readonly room: Room | undefined;

  constructor(name: string, room: Room | undefined) {
    super(name);
    this.room = room;
  }

  inspect(): Promise<BackendCapabilities> {
    return Promise.resolve({ ...CONTROLLED_CAPABILITIES, model: this.name });
  }
}

/** A backend under test: what was created for it, and what it said. */
class Bench implements AsyncDisposable {
  readonly created = new Mailbox<Loadable>();
  readonly states: string[] = [];
  readonly backend: OnDemandBackend;

  constructor(name: string, options: Partial<OnDemandOptions> = {}) {
    this.backend = new OnDemandBackend({
      name,
      loaded: new LoadedModels(),
      isFirstLoadedBy: "request",
      leaves: true,
      loadTimeoutMs: 60_000,
      create: (room) => {
        const one = new Loadable(name, room);
        if (room !== undefined) this.created.put(one);
        return one;
      },
      ...options,
    });
  }

  async start(): Promise<void> {
    await this.backend.start((notice: BackendNotice) => {
      if (notice.type !== "log") this.states.push(`${notice.type} ${this.backend.state}`);
    }, new AbortController().signal);
  }

  /** Ask, and let the model become ready for it. */
  async answer(): Promise<void> {
    const asked = collect(this.backend);
    const inner = await this.created.take();
    await inner.started;
    inner.becomeReady();
    await this.finish(inner, asked);
  }

  async finish(inner: Loadable, asked: Promise<string[]>): Promise<void> {
    const run = await inner.next();
    run.finish();
    assertEquals(await asked, ["done"]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.backend[Symbol.asyncDispose]();
  }
}

async function collect(backend: OnDemandBackend, signal = new AbortController().signal): Promise<string[]> {
  const types: string[] = [];
  for await (const event of backend.generate(REQUEST, signal) as AsyncIterable<BackendEvent>) types.push(event.type);
  return types;
}

Deno.test("a model is loaded by its first request, once for all that come meanwhile", async () => {
  await using bench = new Bench("a");
  await bench.start();
  assertEquals(bench.states, ["asleep asleep"]);
  const first = collect(bench.backend);
  const second = collect(bench.backend);
  const inner = await bench.created.take();
  await inner.started;
  assertEquals(bench.backend.state, "waking");
  inner.becomeReady();
  for (let run = 0; run < 2; run++) (await inner.next()).finish();
  assertEquals(await Promise.all([first, second]), [["done"], ["done"]]);
  assertEquals(bench.states, ["asleep asleep", "waking waking", "ready waking"]);
  assertEquals(bench.backend.state, "ready");
});

Deno.test("a request that is given up stops waiting, and the load goes on", async () => {
  await using bench = new Bench("a");
  await bench.start();
  const gone = new AbortController();
  const asked = collect(bench.backend, gone.signal);
  const inner = await bench.created.take();
  await inner.started;
  gone.abort(new Error("The client is gone"));
  await assertRejects(() => asked, Error, "The client is gone");
  assertEquals(bench.backend.state, "waking");
  inner.becomeReady();
  await bench.finish(inner, collect(bench.backend));
});

Deno.test("a load that fails is told to whoever waited, and the next request tries again", async () => {
  await using bench = new Bench("a");
  await bench.start();
  const asked = collect(bench.backend);
  const inner = await bench.created.take();
  inner.failToStart(new BackendUnavailableError("It is not a GGUF file"));
  await assertRejects(() => asked, BackendUnavailableError, "It is not a GGUF file");
  assertEquals(inner.disposed, 1);
  assertEquals(bench.backend.state, "asleep");
  await bench.answer();
});

Deno.test("a model leaves after its time without requests, not while one runs", async () => {
  using time = new FakeTime();
  await using bench = new Bench("a", { idleMs: 1000 });
  await bench.start();
  const asked = collect(bench.backend);
  const inner = await bench.created.take();
  await inner.started;
  inner.becomeReady();
  const run = await inner.next();
  await time.tickAsync(5000);
  assertEquals(bench.backend.state, "ready");
  run.finish();
  await asked;
  await time.tickAsync(999);
  assertEquals(bench.backend.state, "ready");
  await time.tickAsync(1);
  assertEquals(bench.backend.state, "asleep");
  assertEquals(inner.disposed, 1);
  assertEquals(bench.states.at(-1), "asleep asleep");
});

Deno.test("the model that was idle longest leaves when another does not fit", async () => {
  const loaded = new LoadedModels();
  let nowMs = 0;
  const now = (): number => ++nowMs;
  await using old = new Bench("old", { loaded, now });
  await using young = new Bench("young", { loaded, now });
  await using next = new Bench("next", { loaded, now });
  for (const bench of [old, young, next]) await bench.start();
  await old.answer();
  await young.answer();
  const asked = collect(next.backend);
  const refused = await next.created.take();
  assert(refused.room?.wholeContext);
  refused.failToStart(new NotEnoughMemoryError("There is not enough memory"));
  const inner = await next.created.take();
  assertEquals([old.backend.state, young.backend.state], ["asleep", "ready"]);
  await inner.started;
  inner.becomeReady();
  await next.finish(inner, asked);
});

Deno.test("a model that works or is to stay does not leave for another", async () => {
  const loaded = new LoadedModels();
  await using busy = new Bench("busy", { loaded });
  await using staying = new Bench("staying", { loaded, leaves: false });
  await using next = new Bench("next", { loaded });
  for (const bench of [busy, staying, next]) await bench.start();
  await staying.answer();
  const works = collect(busy.backend);
  const working = await busy.created.take();
  await working.started;
  working.becomeReady();
  const run = await working.next();
  const asked = collect(next.backend);
  const refused = await next.created.take();
  assertEquals(refused.room?.wholeContext, false);
  refused.failToStart(new NotEnoughMemoryError("There is not enough memory"));
  await assertRejects(() => asked, BackendUnavailableError, "There is not enough memory");
  assertEquals([busy.backend.state, staying.backend.state], ["ready", "ready"]);
  run.finish();
  await works;
});

Deno.test("a backend that is stopped gives up its load", async () => {
  const bench = new Bench("a");
  await bench.start();
  const asked = collect(bench.backend);
  const inner = await bench.created.take();
  await inner.started;
  const refused = assertRejects(() => asked, BackendUnavailableError, "has been stopped");
  await bench[Symbol.asyncDispose]();
  await refused;
  assertEquals([inner.disposed, bench.backend.state], [1, "stopped"]);
});
