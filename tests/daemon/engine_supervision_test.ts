/** `backend/llama/llama.ts` over a fake engine: deaths, hangs and slow readers on command. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BackendUnavailableError, ContextLengthError, InvalidRequestError } from "../../src/inference/errors.ts";
import { type ContentBlock, type GenerationRequest, PLAIN } from "../../src/inference/request.ts";
import { PipedProcess } from "../../src/processes/piped_process.ts";
import { LlamaBackend } from "../../src/backend/llama/llama.ts";
import type { LlamaConfig, LlamaOptions } from "../../src/backend/llama/options.ts";
import { BUILT_IN_MODEL } from "../../src/config/options.ts";
import type { EngineNeed, FromEngine } from "../../src/engine/ipc/messages.ts";
import { BUILT_INS, builtInModelFile } from "../../src/models/built_in.ts";
import { fakeEngineCommand, type FakeLoad, type FakeScript } from "../support/fake_engine.ts";
import { Notices } from "../support/notices.ts";
import { isRunning } from "../support/processes.ts";

const NEVER = new AbortController().signal;
const FAST = { first: 1, most: 4 };

function create(load: FakeLoad = {}, options: LlamaOptions = {}, config: Partial<LlamaConfig> = {}): LlamaBackend {
  return new LlamaBackend(
    {
      kind: "llamacpp",
      name: "fake",
      modelName: BUILT_IN_MODEL,
      modelPath: builtInModelFile({ cacheDir: "" }),
      parallel: 4,
      ...config,
    },
    { command: fakeEngineCommand(load), backoffMs: FAST, ...options },
  );
}

async function started(load: FakeLoad = {}, options: LlamaOptions = {}): Promise<[LlamaBackend, Notices]> {
  const backend = create(load, options);
  const notices = new Notices();
  await backend.start(notices.notify, NEVER);
  return [backend, notices];
}

function scripted(script: FakeScript): GenerationRequest {
  return {
    ...PLAIN,
    messages: [{ role: "user", content: JSON.stringify(script) }],
    sampling: { temperature: 0, topP: 1, topK: 0 },
    maxTokens: 10,
    stop: [],
  };
}

/** Start fake engines of which every message goes to the backend through `pass`. */
function between(
  load: FakeLoad,
  pass: (message: FromEngine, hand: (message: FromEngine) => void) => void,
): Required<LlamaOptions>["spawn"] {
  return (listener) =>
    new PipedProcess(fakeEngineCommand(load), {
      ...listener,
      onMessage: (message: FromEngine) => pass(message, listener.onMessage),
    });
}

/** What a backend has told so far, without the log. */
function told(notices: Notices): readonly string[] {
  return notices.all.filter(({ type }) => type !== "log").map((notice) =>
    notice.type === "phase" ? notice.phase.phase : notice.type
  );
}

/** What of it says whether the time counts as loading. */
function clockTold(notices: Notices): readonly string[] {
  return told(notices).filter((type) => type === "preparing" || type === "loading");
}

Deno.test("LlamaBackend tells phases and capabilities when the engine loads", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  const path = builtInModelFile({ cacheDir: "" });
  assertEquals(notices.all.filter(({ type }) => type === "phase"), [
    { type: "phase", phase: { phase: "checking_local", path } },
    { type: "phase", phase: { phase: "mmap", path } },
    { type: "phase", phase: { phase: "kv_cache", n_ctx: 512 } },
  ]);
  assertEquals(notices.types.at(-1), "ready");
  assertEquals(backend.state, "ready");
  assertEquals(backend.capabilities?.contextTokens, 512);
  assertEquals(backend.capabilities?.parallel, 4);
  assertEquals(backend.capabilities?.model, "inferd-tiny");
});

Deno.test("LlamaBackend tells that a model's chat template cannot be used, with its error and what is used instead", async () => {
  const templateError = { message: 'Unknown filter "groupby"', line: 12, format: "chatml" };
  const [backend, notices] = await started({ templateError });
  await using _ = backend;
  assertEquals(backend.capabilities?.templateError, templateError);
  assertEquals(notices.all.filter((notice) => notice.type === "log" && notice.level === "warn"), [{
    type: "log",
    level: "warn",
    msg: "chat_template_unusable",
    fields: { backend: "fake", ...templateError },
  }]);
  const [other, quiet] = await started();
  await using __ = other;
  assertEquals("templateError" in (other.capabilities ?? {}), false);
  assertEquals(quiet.all.some((notice) => notice.type === "log" && notice.level === "warn"), false);
});

Deno.test("LlamaBackend tells when hashing begins and ends, as that is no part of loading", async () => {
  const { sha256 } = BUILT_INS["inferd-tiny"];
  const backend = create({}, {}, { modelSha256: sha256 });
  await using _ = backend;
  const notices = new Notices();
  await backend.start(notices.notify, NEVER);
  assertEquals(told(notices), [
    "checking_local",
    ...["preparing", "verify", "loading"],
    // Until the engine says its first word.
    ...["preparing", "loading"],
    ...["mmap", "kv_cache", "ready"],
  ]);
  const ready = notices.all.find(({ type }) => type === "ready");
  assert(ready?.type === "ready");
  assertEquals(ready.files?.map(({ path }) => path), [builtInModelFile({ cacheDir: "" })]);
});

Deno.test("LlamaBackend refuses a model that was replaced while it was loaded, also without a hash", async () => {
  const dir = await Deno.makeTempDir();
  const modelPath = `${dir}/model.gguf`;
  Deno.copyFileSync(BUILT_INS["inferd-tiny"].url, modelPath);
  // Whatever computes: that is not the accelerator's fault.
  const backend = create({ accelerator: "vulkan" }, {}, { modelPath });
  await using _ = backend;
  const notices = new Notices();
  const start = backend.start((notice) => {
    notices.notify(notice);
    if (notice.type !== "phase" || notice.phase.phase !== "kv_cache") return;
    Deno.copyFileSync(BUILT_INS["inferd-tiny-embed"].url, `${dir}/other`);
    Deno.renameSync(`${dir}/other`, modelPath);
  }, NEVER);
  const { message } = await assertRejects(() => start, BackendUnavailableError);
  assertEquals(message, `Cannot load model "${modelPath}": it was replaced while it was loaded`);
  assertEquals(notices.all.some((notice) => notice.type === "log" && notice.msg === "accelerator_unusable"), false);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("LlamaBackend yields texts and one done when the engine answers", async () => {
  const [backend] = await started();
  await using _ = backend;
  const events = await Array.fromAsync(backend.generate(scripted({ count: 3 }), NEVER));
  assertEquals(events, [
    { type: "text", text: "t0" },
    { type: "text", text: "t1" },
    { type: "text", text: "t2" },
    {
      type: "done",
      reason: "end",
      usage: { promptTokens: 3, completionTokens: 3, cachedTokens: 1 },
      timings: { queueMs: 1, promptMs: 2, generationMs: 3 },
    },
  ]);
});

Deno.test("LlamaBackend fails with the matching class when the engine refuses or fails a request", async () => {
  const [backend] = await started();
  await using _ = backend;
  await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "invalid" }), NEVER)),
    InvalidRequestError,
  );
  const error = await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "internal" }), NEVER)),
    Error,
  );
  assertEquals(error.name, "Error");
  assertEquals(backend.state, "ready");
});

Deno.test("LlamaBackend refuses a prompt that cannot fit, without asking the engine", async () => {
  const [backend, notices] = await started({ longestPiece: 10 });
  await using _ = backend;
  const asked = (length: number): GenerationRequest => ({
    ...scripted({}),
    messages: [{ role: "user", content: JSON.stringify({ count: 1 }) + " ".repeat(length) }],
  });
  const { message } = await assertRejects(
    () => Array.fromAsync(backend.generate(asked(6000), NEVER)),
    InvalidRequestError,
  );
  assertEquals(
    message,
    "The prompt has more than 602 tokens; that exceeds the available context size, prompt and answer together may have 512",
  );
  await Array.fromAsync(backend.generate(asked(4000), NEVER));
  const lines = notices.all.flatMap((notice) => notice.type === "log" ? [String(notice.fields.line)] : []);
  assertEquals(lines.filter((line) => line.startsWith("got generate")).length, 1);
});

Deno.test("LlamaBackend refuses a request of too many characters, wherever they are, without asking the engine", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  const thought: ContentBlock = { type: "thinking", text: "hmm ".repeat(1024 * 1024 / 4) };
  const request = scripted({});
  const messages = [...request.messages, { role: "assistant", content: [thought] } as const];
  const refused = "The request has more than 1048576 characters; that exceeds the available context size";
  for (
    const ask of [
      () => Array.fromAsync(backend.generate({ ...request, messages }, NEVER)),
      () => backend.tokenizer({ type: "count", conversation: { ...request, messages } }, NEVER),
    ]
  ) {
    assertEquals((await assertRejects(ask, ContextLengthError)).message, refused);
  }
  await Array.fromAsync(backend.generate(scripted({ count: 1 }), NEVER));
  const lines = notices.all.flatMap((notice) => notice.type === "log" ? [String(notice.fields.line)] : []);
  assertEquals(lines.filter((line) => line.startsWith("got generate") || line.startsWith("got tokenizer")).length, 1);
});

Deno.test("LlamaBackend cancels on the engine and throws the reason when the signal fires", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  const controller = new AbortController();
  const events = backend.generate(scripted({ count: 1, then: "hang" }), controller.signal)[Symbol.asyncIterator]();
  await events.next();
  const waiting = events.next();
  const reason = new Error("gone");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  await notices.printed("got cancel 1");
  assertEquals((await Array.fromAsync(backend.generate(scripted({ count: 1 }), NEVER))).length, 2);
});

Deno.test("LlamaBackend cancels on the engine when the consumer leaves", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  for await (const _event of backend.generate(scripted({ count: 5 }), NEVER)) break;
  await notices.printed("got cancel 1");
  assertEquals(backend.state, "ready");
});

Deno.test("LlamaBackend asks the engine for nothing when the signal fired before", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  const reason = new Error("never mind");
  const error = await assertRejects(() => Array.fromAsync(backend.generate(scripted({}), AbortSignal.abort(reason))));
  assertStrictEquals(error, reason);
  await Array.fromAsync(backend.generate(scripted({}), NEVER));
  const asked = notices.all.flatMap((notice) => notice.type === "log" ? [String(notice.fields.line)] : [])
    .filter((line) => line.startsWith("got generate"));
  assertEquals(asked.length, 1);
});

Deno.test("LlamaBackend pauses a request whose reader is slow and resumes it when its events are taken", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  const events = backend.generate(scripted({ count: 500 }), NEVER)[Symbol.asyncIterator]();
  assertEquals((await events.next()).value, { type: "text", text: "t0" });
  await notices.printed("got pause 1");
  // A neighbour is not held up.
  assertEquals((await Array.fromAsync(backend.generate(scripted({ count: 100 }), NEVER))).length, 101);
  let taken = 1;
  for (let next = await events.next(); !next.done; next = await events.next()) taken++;
  assertEquals(taken, 501);
  await notices.printed("got resume 1");
});

Deno.test("LlamaBackend fails every running request and comes back when the engine is killed", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  const streams = Array.from({ length: 4 }, async () => {
    const events = backend.generate(scripted({ count: 2, then: "hang" }), NEVER)[Symbol.asyncIterator]();
    await events.next();
    assertEquals((await events.next()).value, { type: "text", text: "t1" });
    return events;
  });
  const running = await Promise.all(streams);
  const pid = backend.enginePid;
  assert(pid !== undefined);
  const restarting = notices.next("restarting");
  const ready = notices.next("ready");
  Deno.kill(pid, "SIGKILL");
  await restarting;
  assertEquals(backend.state, "restarting");
  for (const events of running) {
    await assertRejects(() => events.next(), BackendUnavailableError);
    assertEquals(await events.next(), { value: undefined, done: true });
  }
  await assertRejects(() => Array.fromAsync(backend.generate(scripted({}), NEVER)), BackendUnavailableError);
  await ready;
  assertEquals((await Array.fromAsync(backend.generate(scripted({ count: 1 }), NEVER))).length, 2);
  const exited = await notices.logged("engine_exited");
  assertEquals(exited.fields.signal, "SIGKILL");
  assertEquals(exited.fields.pid, pid);
  const restarted = await notices.logged("engine_restarted");
  assertEquals(restarted.fields.pid, backend.enginePid);
});

Deno.test("LlamaBackend logs what the engine said before the stack when it aborts", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "die" }), NEVER)),
    BackendUnavailableError,
  );
  const { fields } = await notices.logged("engine_exited");
  assertEquals(fields.code, 134);
  assertEquals((fields.stderr as string[]).at(-1), "GGML_ASSERT(false) failed");
});

Deno.test("LlamaBackend treats the engine as dead when it says what is no message", async () => {
  const [backend, notices] = await started();
  await using _ = backend;
  const ready = notices.next("ready");
  const failing = Array.fromAsync(backend.generate(scripted({ then: "nonsense" }), NEVER));
  await assertRejects(() => failing, BackendUnavailableError);
  await ready;
  assertEquals(backend.state, "ready");
});

Deno.test("LlamaBackend doubles the wait and gives up when the engine dies five times", async () => {
  const dir = await Deno.makeTempDir();
  const [backend, notices] = await started({ onceWell: `${dir}/marker`, exit: 7 });
  await using _ = backend;
  await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "die" }), NEVER)),
    BackendUnavailableError,
  );
  const down = await notices.find(({ type }) => type === "down");
  assertEquals(backend.state, "down");
  assert(down.type === "down" && down.reason.includes("5 times"), JSON.stringify(down));
  assertEquals(notices.types.filter((type) => type === "restarting").length, 4);
  const deaths = notices.all.filter((notice) => notice.type === "log" && notice.msg === "engine_exited");
  assertEquals(deaths.map((notice) => notice.type === "log" && notice.fields.deaths), [1, 2, 3, 4, 5]);
  await assertRejects(() => Array.fromAsync(backend.generate(scripted({}), NEVER)), BackendUnavailableError);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("LlamaBackend tries on when the machine has no descriptors left to start an engine with, and counts no deaths", async () => {
  let [left, refused] = [1, 0];
  const [backend, notices] = await started({}, {
    spawn: (listener) => {
      if (left > 0) {
        left--;
        return new PipedProcess(fakeEngineCommand(), listener);
      }
      refused++;
      // Twice as often as an engine may die.
      if (refused === 10) left = 1;
      throw Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
    },
  });
  await using _ = backend;
  const ready = notices.next("ready");
  await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "die" }), NEVER)),
    BackendUnavailableError,
  );
  await ready;
  assertEquals([backend.state, refused], ["ready", 10]);
  const logged = (msg: string): number =>
    notices.all.filter((notice) => notice.type === "log" && notice.msg === msg).length;
  assertEquals([logged("engine_exited"), logged("engine_not_started")], [1, 10]);
});

Deno.test("LlamaBackend tries on when there is no descriptor to look at the model with", async () => {
  const limit = 40;
  const script = `
    import { LlamaBackend } from ${JSON.stringify(import.meta.resolve("../../src/backend/llama/llama.ts"))};
    const [modelPath, command, args] = JSON.parse(Deno.args[0]);
    const config = { kind: "llamacpp", name: "fake", modelName: "m", modelPath, parallel: 1 };
    const backend = new LlamaBackend(config, { command: { command, args }, backoffMs: { first: 1, most: 4 } });
    const held = [];
    let refused = 0;
    let ready = 0;
    const done = Promise.withResolvers();
    await backend.start((notice) => {
      if (notice.type === "ready" && ++ready === 2) done.resolve();
      if (notice.type === "restarting" && held.length === 0) {
        try {
          for (;;) held.push(Deno.openSync("/dev/null"));
        } catch {
          // All are gone.
        }
      }
      if (notice.msg === "engine_not_started" && ++refused === 10) for (const file of held) file.close();
    }, new AbortController().signal);
    Deno.kill(backend.enginePid, "SIGKILL");
    await done.promise;
    console.log(backend.state, refused);
    await backend[Symbol.asyncDispose]();
  `;
  const { command, args } = fakeEngineCommand();
  const asked = JSON.stringify([builtInModelFile({ cacheDir: "" }), command, args]);
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(`${dir}/main.ts`, script);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", `ulimit -n ${limit}; exec "$0" run --no-check -A --config "$1" "$2" "$3"`]
      .concat(command, config, `${dir}/main.ts`, asked),
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "ready 10\n", new TextDecoder().decode(stderr));
  await Deno.remove(dir, { recursive: true });
});

Deno.test("LlamaBackend forgets deaths when they are older than the window", async () => {
  let now = 0;
  const [backend, notices] = await started({}, { now: () => now, maxDeaths: 2, deathWindowMs: 1000 });
  await using _ = backend;
  for (let death = 0; death < 3; death++) {
    const ready = notices.next("ready");
    await assertRejects(
      () => Array.fromAsync(backend.generate(scripted({ then: "die" }), NEVER)),
      BackendUnavailableError,
    );
    await ready;
    now += 1001;
  }
  assertEquals(backend.state, "ready");
});

Deno.test("LlamaBackend kills and replaces the engine when it hangs while work is waiting", async () => {
  const [backend, notices] = await started({}, { hangTimeoutMs: 100 });
  await using _ = backend;
  const ready = notices.next("ready");
  await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "hang" }), NEVER)),
    BackendUnavailableError,
  );
  const { fields } = await notices.logged("engine_exited");
  assertEquals(fields.signal, "SIGKILL");
  assert(String(fields.reason).includes("said nothing while work was waiting"), String(fields.reason));
  await ready;
});

Deno.test("LlamaBackend leaves the engine alone when it says that it is alive", async () => {
  using time = new FakeTime();
  let beat = Promise.withResolvers<void>();
  const spawn = between({}, (message, hand) => {
    hand(message);
    if (message.type === "beat") beat.resolve();
  });
  const [backend, notices] = await started({}, { hangTimeoutMs: 1000, spawn });
  await using _ = backend;
  const controller = new AbortController();
  const waiting = Array.fromAsync(backend.generate(scripted({ then: "beat" }), controller.signal));
  for (let passed = 0; passed < 3000; passed += 900) {
    beat = Promise.withResolvers();
    await beat.promise;
    time.tick(900);
  }
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  assertEquals(notices.types.includes("restarting"), false);
});

Deno.test("LlamaBackend leaves the engine alone when all that is silent is paused", async () => {
  using time = new FakeTime();
  const [backend, notices] = await started({}, { hangTimeoutMs: 100 });
  await using _ = backend;
  const controller = new AbortController();
  const events = backend.generate(scripted({ count: 500 }), controller.signal)[Symbol.asyncIterator]();
  await events.next();
  await notices.printed("got pause 1");
  time.tick(300);
  // It answers, so it was not killed.
  await Array.fromAsync(backend.generate(scripted({ count: 1 }), NEVER));
  assertEquals(backend.state, "ready");
  controller.abort(new Error("enough"));
  await assertRejects(() => events.next(), Error, "enough");
});

Deno.test("LlamaBackend rejects with the engine's own words when loading fails", async () => {
  const backend = create({ fatal: 'Cannot load model "x": it is truncated' });
  await using _ = backend;
  const error = await assertRejects(() => backend.start(() => {}, NEVER), BackendUnavailableError);
  assertEquals(error.message, 'Cannot load model "x": it is truncated');
});

Deno.test("LlamaBackend says how the engine ended when it dies while loading", async () => {
  const backend = create({ exit: 3 });
  await using _ = backend;
  const error = await assertRejects(() => backend.start(() => {}, NEVER), BackendUnavailableError);
  assert(error.message.startsWith('The engine of backend "fake" exited with code 3'), error.message);
});

Deno.test("LlamaBackend rejects when the engine's program does not exist", async () => {
  const backend = create({}, { command: { command: "/nonexistent/deno", args: [] } });
  await using _ = backend;
  const error = await assertRejects(() => backend.start(() => {}, NEVER), BackendUnavailableError);
  assert(error.message.startsWith('Cannot start the engine of backend "fake"'), error.message);
});

/** Gets what it is asked for when the test says so. */
class Fetching {
  readonly asked = Promise.withResolvers<EngineNeed>();
  readonly answer = Promise.withResolvers<void>();
  readonly options: LlamaOptions = {
    fetcher: {
      cacheDir: "/cache",
      fetch: (need, { onPhase }) => {
        onPhase({ phase: "download", downloaded_bytes: 1, total_bytes: 2, source_url: "http://registry.example/" });
        this.asked.resolve(need);
        return this.answer.promise;
      },
    },
  };
}

Deno.test("LlamaBackend has fetched what the engine needs, and its time stands still meanwhile", async () => {
  const fetching = new Fetching();
  const backend = create({ needs: { packages: ["linux-x64"] } }, fetching.options);
  await using _ = backend;
  const notices = new Notices();
  const starting = backend.start(notices.notify, NEVER);
  assertEquals(await fetching.asked.promise, { packages: ["linux-x64"] });
  assertEquals([clockTold(notices).at(-1), backend.state], ["preparing", "loading"]);
  fetching.answer.resolve();
  await starting;
  assertEquals(told(notices), [
    "checking_local",
    // Until it says its first word.
    ...["preparing", "loading"],
    ...["preparing", "download", "loading"],
    ...["mmap", "kv_cache", "ready"],
  ]);
  assertEquals((await notices.logged("library_fetched")).fields.packages, ["linux-x64"]);
});

Deno.test("LlamaBackend does not count the time until an engine says its first word", async () => {
  const backend = create({ silent: true });
  await using _ = backend;
  const controller = new AbortController();
  const notices = new Notices();
  const starting = backend.start(notices.notify, controller.signal);
  await notices.find(({ type }) => type === "preparing");
  assertEquals(clockTold(notices), ["preparing"]);
  controller.abort(new Error("too late"));
  await assertRejects(() => starting, Error, "too late");
  assertEquals(clockTold(notices), ["preparing", "loading"]);
});

Deno.test("LlamaBackend fails with the reason, and once, when what the engine needs cannot be had", async () => {
  const fetching = new Fetching();
  const backend = create({ needs: { packages: ["linux-x64"] } }, fetching.options);
  await using _ = backend;
  const notices = new Notices();
  const starting = backend.start(notices.notify, NEVER);
  await fetching.asked.promise;
  fetching.answer.reject(new Error("Cannot fetch it: nobody answers"));
  const error = await assertRejects(() => starting, BackendUnavailableError);
  assertEquals(error.message, "Cannot fetch it: nobody answers");
  assertEquals(notices.types.includes("restarting"), false);
});

Deno.test("LlamaBackend kills an engine that asks again before it is answered, and starts no further process", async () => {
  let asked = 0;
  const answer = Promise.withResolvers<void>();
  const backend = create({ needs: { packages: ["linux-x64"] }, asks: 300 }, {
    fetcher: {
      cacheDir: "/cache",
      fetch: () => ++asked === 1 ? answer.promise : Promise.reject(new Error("It was asked again")),
    },
  });
  await using _ = backend;
  const error = await assertRejects(() => backend.start(() => {}, NEVER), BackendUnavailableError);
  assertStringIncludes(error.message, "It asked for libraries again before it was answered");
  assertEquals(asked, 1);
  answer.resolve();
});

Deno.test("LlamaBackend gives up fetching when starting is given up", async () => {
  const controller = new AbortController();
  let given: AbortSignal | undefined;
  const backend = create({ needs: { packages: ["linux-x64"] } }, {
    fetcher: {
      cacheDir: "/cache",
      fetch: (_need, { signal }) => {
        given = signal;
        controller.abort(new Error("too late"));
        return Promise.reject(signal.reason);
      },
    },
  });
  await using _ = backend;
  await assertRejects(() => backend.start(() => {}, controller.signal), Error, "too late");
  assertEquals(given?.aborted, true);
});

for (const [how, load] of [["dies", { exit: 139 }], ["says why not", { fatal: "no memory is left on it" }]] as const) {
  Deno.test(`LlamaBackend lets the CPU compute when an accelerator nobody asked for ${how}`, async () => {
    const [backend, notices] = await started({ accelerator: "vulkan", ...load });
    await using _ = backend;
    const { level, fields } = await notices.logged("accelerator_unusable");
    assertEquals([level, fields.accelerator], ["warn", "vulkan"]);
    assert(
      String(fields.reason).includes("fatal" in load ? load.fatal : "exited with code 139"),
      String(fields.reason),
    );
  });
}

Deno.test("LlamaBackend fails when the accelerator that was asked for does", async () => {
  const load = { accelerator: "vulkan", fatal: "no memory is left on it" } as const;
  const backend = new LlamaBackend({
    kind: "llamacpp",
    name: "fake",
    modelName: BUILT_IN_MODEL,
    modelPath: builtInModelFile({ cacheDir: "" }),
    parallel: 4,
    accelerator: "vulkan",
  }, { command: fakeEngineCommand(load) });
  await using _ = backend;
  const error = await assertRejects(() => backend.start(() => {}, NEVER), BackendUnavailableError);
  assertEquals(error.message, "no memory is left on it");
});

Deno.test("LlamaBackend leaves no process when starting is given up", async () => {
  const backend = create({ hang: true });
  await using _ = backend;
  const controller = new AbortController();
  const reason = new Error("too late");
  let seen = 0;
  const error = await assertRejects(() =>
    backend.start((notice) => {
      // The engine has heard `load` and now hangs.
      if (notice.type === "phase" && notice.phase.phase === "mmap" && seen++ === 0) controller.abort(reason);
    }, controller.signal)
  );
  assertStrictEquals(error, reason);
  assertEquals(backend.enginePid, undefined);
});

Deno.test("LlamaBackend gives a restarted engine up when it does not load in time", async () => {
  const dir = await Deno.makeTempDir();
  const [backend, notices] = await started({ onceWell: `${dir}/marker`, hang: true }, {
    loadTimeoutMs: 200,
    maxDeaths: 2,
  });
  await using _ = backend;
  await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "die" }), NEVER)),
    BackendUnavailableError,
  );
  const down = await notices.find(({ type }) => type === "down");
  assert(
    down.type === "down" && down.reason.includes("did not load within 0.2 s (--ready-timeout)"),
    JSON.stringify(down),
  );
  await Deno.remove(dir, { recursive: true });
});

Deno.test("LlamaBackend does not count the time in which an accelerator's code is compiled", async () => {
  using time = new FakeTime();
  const spawn = between({ compiles: true }, (message, hand) => {
    if (message.type === "ready") time.tick(600);
    hand(message);
  });
  const [backend, notices] = await started({}, { spawn, loadTimeoutMs: 500, maxDeaths: 2 });
  await using _ = backend;
  const from = notices.all.length;
  const restarting = notices.next("restarting");
  await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "die" }), NEVER)),
    BackendUnavailableError,
  );
  await restarting;
  time.tick(FAST.most);
  const end = await notices.find(({ type }) => type === "ready" || type === "down", from);
  assertEquals(end.type, "ready", JSON.stringify(end));
});

Deno.test("LlamaBackend ends the engine and running requests when it is disposed of", async () => {
  const [backend] = await started();
  const pid = backend.enginePid;
  assert(pid !== undefined && isRunning(pid));
  const events = backend.generate(scripted({ count: 1, then: "hang" }), NEVER)[Symbol.asyncIterator]();
  await events.next();
  const waiting = events.next();
  const [outcome] = await Promise.allSettled([waiting, backend[Symbol.asyncDispose]()]);
  assert(outcome.status === "rejected");
  assertInstanceOf(outcome.reason, BackendUnavailableError);
  assertEquals(isRunning(pid), false);
  assertEquals(backend.state, "stopped");
  await backend[Symbol.asyncDispose]();
});

Deno.test({
  name: "LlamaBackend keeps the engine out of the reach of a terminal's Ctrl-C",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const [backend] = await started();
    await using _ = backend;
    const group = (pid: number): string | undefined => Deno.readTextFileSync(`/proc/${pid}/stat`).split(" ")[4];
    assert(group(backend.enginePid ?? 0) !== group(Deno.pid));
  },
});

Deno.test("LlamaBackend kills the engine when it does not leave on disposal", async () => {
  const [backend] = await started({ stubborn: true });
  const pid = backend.enginePid;
  await backend[Symbol.asyncDispose]();
  assert(pid !== undefined && !isRunning(pid));
});

Deno.test("LlamaBackend stops restarting when it is disposed of meanwhile", async () => {
  const [backend, notices] = await started({}, { backoffMs: { first: 60_000, most: 60_000 } });
  await assertRejects(
    () => Array.fromAsync(backend.generate(scripted({ then: "die" }), NEVER)),
    BackendUnavailableError,
  );
  await notices.find(({ type }) => type === "restarting");
  await backend[Symbol.asyncDispose]();
  assertEquals(backend.state, "stopped");
});
