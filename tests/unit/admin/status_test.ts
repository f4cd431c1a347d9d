import { assert, assertEquals } from "@std/assert";
import { ADMIN_BACKLOG_EVENTS } from "@inferd/client/protocol";
import { StatusBoard, type StatusReader } from "../../../src/admin/status.ts";
import { type BackendCapabilities, ONLY_TEXT } from "../../../src/inference/backend.ts";

const CAPABILITIES: BackendCapabilities = {
  ...ONLY_TEXT,
  accelerator: "cpu",
  gpuLayers: 0,
  model: "inferd-tiny",
  contextTokens: 512,
  parallel: 4,
};

const MMAP = { phase: "mmap", path: "/m" } as const;

const STARTING = '{"id":"admin","type":"status","status":"starting"}\n';
const READY = '{"id":"admin","type":"status","status":"ready"}\n';
const DRAINING = '{"id":"admin","type":"status","status":"draining"}\n';
const RESTARTING = '{"id":"admin","type":"status","status":"restarting","phase":"mmap","path":"/m"}\n';

const QUEUE = { active: 1, waiting: 2, depth: 10 };

function create(queue = { ...QUEUE }): StatusBoard {
  return new StatusBoard({ queue: () => queue, now: () => 0 });
}

/** What is said until the board closes. */
async function rest(reader: StatusReader): Promise<string> {
  let text = "";
  for (let lines = await reader.take(); lines !== undefined; lines = await reader.take()) text += lines;
  return text;
}

Deno.test("StatusBoard says every frame in the documented order of keys", async () => {
  const board = create();
  using reader = board.subscribe();
  board.loading({ phase: "checking_local", path: "/m" });
  board.loading({ phase: "download", downloaded_bytes: 0, total_bytes: null, source_url: "https://x" });
  board.loading({ phase: "verify", path: "/m" });
  board.loading({ phase: "mmap", path: "/m" });
  board.loading({ phase: "mmap", path: "/m", progress: 0.5 });
  board.loading({ phase: "kv_cache", n_ctx: 512 });
  board.capable("llamacpp", CAPABILITIES);
  board.ready();
  board.restarting(MMAP);
  board.logStopped("disk full");
  board.draining();
  board.close();
  const head = '{"id":"admin","type":"status","status":';
  assertEquals((await rest(reader)).trimEnd().split("\n"), [
    `${head}"starting"}`,
    `${head}"loading_model","phase":"checking_local","path":"/m"}`,
    `${head}"loading_model","phase":"download","downloaded_bytes":0,"total_bytes":null,"source_url":"https://x"}`,
    `${head}"loading_model","phase":"verify","path":"/m"}`,
    `${head}"loading_model","phase":"mmap","path":"/m"}`,
    `${head}"loading_model","phase":"mmap","path":"/m","progress":0.5}`,
    `${head}"loading_model","phase":"kv_cache","n_ctx":512}`,
    `${head}"capabilities","backend":"llamacpp","v2":false,"vision":false,"audio":false,"tools":false,` +
    '"thinking":false,"embed":false,"accelerator":"cpu","gpu_layers":0,"rerank":false,"model":"inferd-tiny",' +
    '"n_ctx":512,"parallel":4,"state":"ready","breaker":"closed","uptime_ms":0,"queue":{"active":1,"waiting":2,"depth":10}}',
    `${head}"ready"}`,
    `${head}"restarting","phase":"mmap","path":"/m"}`,
    `${head}"log_stopped","reason":"disk full"}`,
    `${head}"draining"}`,
  ]);
});

Deno.test("StatusBoard tells capabilities, that the log has stopped, and then the snapshot when somebody comes later", async () => {
  const queue = { active: 0, waiting: 0, depth: 10 };
  const board = create(queue);
  board.capable("one", CAPABILITIES);
  board.capable("two", CAPABILITIES);
  board.capable("one", { ...CAPABILITIES, contextTokens: 1024 });
  board.ready();
  board.logStopped("disk full");
  queue.active = 3;
  using reader = board.subscribe();
  const [one, two, stopped, snapshot, ...more] = (await reader.take() ?? "").split(/(?<=\n)/);
  assert(one?.includes('"backend":"one"') && one.includes('"n_ctx":1024') && one.includes('"active":3'), one);
  assert(two?.includes('"backend":"two"'), two);
  assertEquals(snapshot, READY);
  assert(stopped?.includes('"log_stopped","reason":"disk full"'), stopped);
  assertEquals(more, []);
  board.logResumed();
  using later = board.subscribe();
  assertEquals((await later.take())?.includes("log_stopped"), false);
});

Deno.test("StatusBoard tells every state of a backend that has been ready, each once, and keeps its snapshot", async () => {
  const board = new StatusBoard({ queue: () => QUEUE, backends: ["one", "two"] });
  board.capable("one", CAPABILITIES);
  board.ready();
  using reader = board.subscribe();
  await reader.take();
  board.changed("one", "loading");
  board.changed("one", "loading");
  board.changed("one", "down");
  // Has never been ready: nothing is known of it.
  board.changed("two", "down");
  const told = (await reader.take() ?? "").trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(told.map(({ backend, state }) => [backend, state]), [["one", "loading"], ["one", "down"]]);
  assertEquals(board.state, "ready");
  using later = board.subscribe();
  const [line, snapshot] = (await later.take() ?? "").split(/(?<=\n)/);
  assertEquals([JSON.parse(line ?? "").state, snapshot], ["down", READY]);
  board.capable("one", CAPABILITIES);
  assertEquals(board.capabilities().map(({ state }) => state), ["ready"]);
});

Deno.test("StatusBoard tells what is wrong with a model's chat template, and what is used instead", async () => {
  const board = create();
  const templateError = { message: 'Unknown filter "groupby"', line: 12, format: "chatml" };
  board.capable("llamacpp", { ...CAPABILITIES, templateError });
  using reader = board.subscribe();
  const [line] = (await reader.take() ?? "").split("\n");
  assertEquals(JSON.parse(line ?? "").template_error, templateError);
  assert(line?.endsWith(`,"template_error":${JSON.stringify(templateError)},"queue":${JSON.stringify(QUEUE)}}`), line);
});

Deno.test("StatusBoard keeps its snapshot when a backend loads beside one that serves", async () => {
  const board = create();
  board.ready();
  board.loading({ phase: "mmap", path: "/m" });
  assertEquals(board.state, "ready");
  using reader = board.subscribe();
  assertEquals(await reader.take(), READY);
});

Deno.test("StatusBoard stays draining whatever happens after it", async () => {
  const board = create();
  board.draining();
  using reader = board.subscribe();
  board.loading({ phase: "mmap", path: "/m" });
  board.restarting(MMAP);
  board.ready();
  board.draining();
  board.close();
  assertEquals(await rest(reader), DRAINING);
});

Deno.test("StatusBoard ends at once for those who come after its end", async () => {
  const board = create();
  board.close();
  using reader = board.subscribe();
  assertEquals(await rest(reader), STARTING);
});

Deno.test("StatusReader waits when there is nothing and wakes when something happens", async () => {
  const board = create();
  using reader = board.subscribe();
  assertEquals(await reader.take(), STARTING);
  const waiting = reader.take();
  board.ready();
  assertEquals(await waiting, READY);
});

Deno.test("StatusReader is overrun when it is more events behind than allowed, taken ones counted", async () => {
  const board = create();
  const slow = board.subscribe();
  const fast = board.subscribe();
  board.ready();
  assertEquals(await slow.take(), STARTING + READY);
  assertEquals(await fast.take(), STARTING + READY);
  for (let event = 0; event < ADMIN_BACKLOG_EVENTS - 2; event++) board.restarting(MMAP);
  assertEquals(slow.overrun.aborted, false);
  // Says that what it took has arrived; the other one does not.
  assertEquals((await fast.take())?.length, RESTARTING.length * (ADMIN_BACKLOG_EVENTS - 2));
  void fast.take();
  board.restarting(MMAP);
  assertEquals(slow.overrun.aborted, true);
  assertEquals(fast.overrun.aborted, false);
  assertEquals(await slow.take(), undefined);
  board.close();
});

Deno.test("StatusReader hears nothing more when it has left", async () => {
  const board = create();
  const reader = board.subscribe();
  await reader.take();
  reader[Symbol.dispose]();
  board.ready();
  assertEquals(await reader.take(), undefined);
});

Deno.test("StatusBoard tells capabilities in the order of priority when backends became ready in another", async () => {
  const board = new StatusBoard({ queue: () => ({ active: 0, waiting: 0, depth: 1 }), backends: ["first", "second"] });
  board.capable("second", CAPABILITIES);
  board.capable("first", CAPABILITIES);
  using reader = board.subscribe();
  const lines = (await reader.take() ?? "").trim().split("\n").map((line) => JSON.parse(line).backend);
  assertEquals(lines.slice(0, 2), ["first", "second"]);
  assertEquals(board.capabilities().map(({ backend }) => backend), ["first", "second"]);
});

Deno.test("StatusBoard tells for how long a backend has been ready, from anew when it was loaded again", () => {
  let now = 0;
  const board = new StatusBoard({ queue: () => QUEUE, now: () => now });
  const uptimes = (): (number | undefined)[] => board.capabilities().map(({ uptime_ms: uptime }) => uptime);
  board.capable("one", CAPABILITIES);
  now = 1000;
  board.capable("two", CAPABILITIES);
  board.capable("one", { ...CAPABILITIES, contextTokens: 1024 });
  now = 1500;
  assertEquals(uptimes(), [1500, 500]);
  board.changed("one", "loading");
  assertEquals(uptimes(), [undefined, 500]);
  board.capable("one", CAPABILITIES);
  board.asleep("two", CAPABILITIES);
  now = 1700;
  assertEquals(uptimes(), [200, undefined]);
});

Deno.test("StatusBoard tells how far a backend's weights are loaded, and of no memory until they are", async () => {
  const board = create();
  board.capable("one", { ...CAPABILITIES, memoryBytes: 1000 });
  board.asleep("one", { ...CAPABILITIES, memoryBytes: 1000 });
  board.changed("one", "loading");
  using reader = board.subscribe();
  await reader.take();
  board.phase("one", MMAP);
  board.phase("one", MMAP);
  for (const progress of [0.25, 0.5]) board.phase("one", { ...MMAP, progress });
  board.phase("one", { phase: "kv_cache", n_ctx: 512 });
  board.capable("one", { ...CAPABILITIES, memoryBytes: 1000 });
  const told = (await reader.take() ?? "").trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(told.map((one) => [one.state, one.phase, one.progress, one.memory_bytes]), [
    ["loading", "mmap", undefined, undefined],
    ["loading", "mmap", 0.25, undefined],
    ["loading", "mmap", 0.5, undefined],
    ["loading", "kv_cache", undefined, undefined],
    ["ready", undefined, undefined, 1000],
  ]);
});
