/**
 * The engine process: loads a model, then serves what the daemon asks on stdin, until stdin ends. Between any two steps
 * it reads what has come in, so a request starts and a cancel counts at the next step.
 *
 * 1 the first line says what to load · 2 libraries, fetched by the daemon where they are not here · 3 model, memory, chat
 * template · 4 a throw-away decode · 5 permissions given back · 6 `ready` · 7 serve
 */
import { setImmediate } from "node:timers";
import { Answers, type Unenforced } from "./generate/answers.ts";
import { Chat, PromptError, PromptTooLongError } from "./chat/chat.ts";
import { AttachmentError } from "./chat/render/messages.ts";
import { ChannelError, Inbox, Outbox, send } from "./ipc/channel.ts";
import { obtainChatLibrary } from "./chat/render/chat_library.ts";
import { engineEnvironment } from "./ipc/command.ts";
import { Context } from "./native/context.ts";
import { EncodeJobs } from "./encode/encode_jobs.ts";
import { EncodeScheduler, TextError } from "./encode/encode_scheduler.ts";
import { ModelEncoder } from "./encode/encoder.ts";
import { type Fetch, obtainLibraries } from "./native/libraries.ts";
import { type Library, openLibrary, stdinProbe } from "./native/library.ts";
import { LIBRARY_VERSION, LibraryError } from "../libraries/library_files.ts";
import { RegistryError } from "../libraries/registry.ts";
import { GrammarError } from "../grammar/gbnf.ts";
import { inspect } from "./inspection.ts";
import { checkLimits, LimitError } from "./generate/limits.ts";
import { availableBytes, contextBytes, fitContext, type MemoryBudget, MemoryError } from "./native/memory.ts";
import { DEFAULT_CONTEXT_TOKENS } from "../inference/backend.ts";
import type { EngineConfig, EngineEvent, EngineRequest, ToEngine } from "./ipc/messages.ts";
import { Model, ModelError } from "./native/model.ts";
import { confine, confineEarly } from "./permissions.ts";
import { Pulse } from "./ipc/pulse.ts";
import { Tokenizer, TokenizerError } from "./chat/tokenizer.ts";
import { purposeOf } from "./encode/purpose.ts";
import type { PoolingType } from "./native/text_context.ts";
import type { Job } from "./generate/running.ts";
import { MOST_GUESSED, MOST_STREAMS } from "./generate/ahead/speculation.ts";
import { Scheduler } from "./generate/scheduler.ts";
import type { Work } from "../work/work.ts";
import { thisMachine } from "./native/this_machine.ts";
import { usableCores } from "./native/threads.ts";

/** Time for throw-away decodes before `ready`, at least one of each kind. */
const WARM_UP_MS = 30;
/** How often it is looked for messages while nothing else is done than what is computed beside this thread. */
const LOOK_MS = 2;
/** Tokens of a throw-away text. */
const WARM_UP_TOKENS = 128;

/** The talk with the daemon. */
interface Talk {
  readonly outbox: Outbox;
  readonly pulse: Pulse;
}

/** An engine that writes. */
interface Generating {
  readonly purpose: "generate";
  readonly outbox: Outbox;
  readonly scheduler: Scheduler;
  readonly model: Model;
  readonly answers: Answers;
  readonly tokenizer: Tokenizer;
}

/** An engine that makes vectors, or scores. */
interface Encoding {
  readonly purpose: "embed" | "rerank";
  readonly outbox: Outbox;
  readonly scheduler: EncodeScheduler;
  readonly jobs: EncodeJobs;
}

type Engine = Generating | Encoding;

async function load(config: EngineConfig, { fetch, outbox, pulse }: Talk & { readonly fetch: Fetch }): Promise<Engine> {
  const machine = thisMachine(engineEnvironment);
  const { source, unusable } = await obtainLibraries(config, machine, fetch);
  for (const { accelerator, reason, hasDriver } of unusable) {
    if (hasDriver) tellUnusable(accelerator, reason);
  }
  if (source.accelerator !== undefined) send({ type: "accelerator", accelerator: source.accelerator.name });
  send({ type: "phase", phase: "mmap", path: config.modelPath });
  const library = openLibrary(source);
  const available = config.memoryBytes ?? availableBytes();
  const model = Model.load(library, config.partPaths ?? [config.modelPath], {
    available,
    ...(config.gpuLayers === undefined ? {} : { gpuLayers: config.gpuLayers }),
    onFailure: (reason) => {
      send({ type: "accelerator", accelerator: "cpu" });
      tellUnusable(source.accelerator?.name ?? "cpu", reason);
    },
  });
  const purpose = purposeOf(model, config);
  if (purpose.purpose !== "generate") return loadEncoder({ config, library, model, outbox, pulse, ...purpose });
  // What an accelerator has, the native library looks after.
  const budget: MemoryBudget = {
    available: model.accelerator === "cpu" ? available : Infinity,
    weightBytes: model.bytes,
    bytesPerToken: model.bytesPerToken,
  };
  const contextTokens = contextTokensOf(model, config, budget);
  send({ type: "phase", phase: "kv_cache", n_ctx: contextTokens });
  const { parallel } = config;
  const threads = config.threads ?? usableCores();
  const memoryBytes = contextBytes(budget);
  const chat = await Chat.of(model, contextTokens, () => obtainChatLibrary(machine, fetch));
  const kept = keptPrompts(chat, model, { warm: config.warm ?? [], contextTokens });
  const guesses = config.speculation === false || model.wholeSequencesOnly ? 0 : MOST_STREAMS * MOST_GUESSED;
  const context = new Context(library, model, {
    contextTokens,
    parallel,
    guesses,
    kept: kept.map(({ length }) => length),
    threads,
    memoryBytes,
    lookIn: () => pulse.beat(),
  });
  warmUp(context, parallel);
  library.endLoading();
  tellUnconfined(confine(model.accelerator));
  const scheduler = new Scheduler({
    decoder: context,
    parallel,
    contextTokens,
    wholeSequencesOnly: model.wholeSequencesOnly,
    kept,
    guesses: Math.min(guesses, contextTokens - parallel),
    ...(config.quietMs === undefined ? {} : { quietMs: config.quietMs }),
  });
  pulse.abandons = (ids) => scheduler.abandons(ids);
  pulse.yields = () => scheduler.yields;
  send({
    type: "ready",
    purpose: "generate",
    tools: chat.tools,
    thinking: chat.thinking,
    ...(chat.fault === undefined ? {} : { templateError: { ...chat.fault, format: chat.format } }),
    contextTokens,
    parallel,
    accelerator: model.accelerator,
    gpuLayers: gpuLayersOf(model, config),
    vocabulary: model.vocabularySize,
    longestPiece: model.longestPiece,
    threads,
  });
  return {
    purpose: "generate",
    outbox,
    scheduler,
    model,
    answers: new Answers(model, chat, { ...config, onUnenforced: tellUnenforced() }),
    tokenizer: new Tokenizer(model, chat),
  };
}

/** Different things that are said of tools' schemas before it is enough. */
const MOST_TOLD = 1000;

/** Says what of tools' schemas is not enforced: each of it once. */
function tellUnenforced(): (what: Unenforced) => void {
  const told = new Set<string>();
  return (what) => {
    const key = JSON.stringify(what);
    if (told.has(key) || told.size >= MOST_TOLD) return;
    told.add(key);
    // Nothing else of the request may be in the log.
    send({ type: "warning", msg: "tool_schema_not_enforced", fields: { tool: what.place, keywords: what.keywords } });
  };
}

/** Not every system can confine native code. */
function tellUnconfined(reason: string | undefined): void {
  if (reason !== undefined) send({ type: "warning", msg: "engine_unconfined", fields: { reason } });
}

/** If there is such a device, the log says why it is not used. */
function tellUnusable(accelerator: string, reason: string): void {
  send({ type: "warning", msg: "accelerator_unusable", fields: { accelerator, reason } });
}

/** The beginnings of prompts that are worth keeping; what cannot be kept is reported. */
function keptPrompts(
  chat: Chat,
  model: Model,
  { warm, contextTokens }: { readonly warm: readonly string[]; readonly contextTokens: number },
): Int32Array[] {
  const skip = (index: number, reason: string): [] => {
    send({ type: "warning", msg: "warm_skipped", fields: { index, reason } });
    return [];
  };
  return warm.flatMap((system, index) => {
    if (model.wholeSequencesOnly) return skip(index, "The memory of this model cannot be shared");
    try {
      return [chat.opening(system)];
    } catch (error) {
      if (!(error instanceof PromptError)) throw error;
      return skip(index, `It is too long for a context of ${contextTokens} tokens`);
    }
  });
}

/** Tokens one request may use: what was asked for, or as many as are of use and fit. */
function contextTokensOf(model: Model, config: EngineConfig, budget: MemoryBudget): number {
  const asked = config.contextTokens !== undefined;
  const wanted = config.contextTokens ?? Math.min(model.trainedContextTokens, DEFAULT_CONTEXT_TOKENS);
  const fitting = fitContext(wanted, { budget, asked });
  if (fitting < wanted) {
    const fields = { wanted, n_ctx: fitting, available_bytes: budget.available, weight_bytes: budget.weightBytes };
    send({ type: "warning", msg: "context_lowered", fields });
  }
  return fitting;
}

/** The same for a model that does not write; it needs no chat template. */
function loadEncoder({ config, library, model, outbox, pulse, purpose, pooling }: Talk & {
  readonly config: EngineConfig;
  readonly library: Library;
  readonly model: Model;
  readonly purpose: Encoding["purpose"];
  readonly pooling: PoolingType;
}): Encoding {
  const threads = config.threads ?? usableCores();
  const encoder = new ModelEncoder(library, model, {
    ...(config.contextTokens === undefined ? {} : { contextTokens: config.contextTokens }),
    threads,
    pooling,
    lookIn: () => pulse.beat(),
  });
  const contextTokens = encoder.textTokens;
  send({ type: "phase", phase: "kv_cache", n_ctx: contextTokens });
  const until = performance.now() + WARM_UP_MS;
  for (const tokens of [1, Math.min(contextTokens, WARM_UP_TOKENS)]) {
    do encoder.warmUp(tokens); while (performance.now() < until);
  }
  library.endLoading();
  tellUnconfined(confine(model.accelerator));
  const { modelName, parallel } = config;
  send({
    type: "ready",
    purpose,
    tools: false,
    thinking: false,
    contextTokens,
    parallel,
    accelerator: model.accelerator,
    gpuLayers: gpuLayersOf(model, config),
    vocabulary: model.vocabularySize,
    threads,
  });
  const scheduler = new EncodeScheduler(encoder);
  pulse.abandons = (ids) => scheduler.abandons(ids);
  return {
    purpose,
    outbox,
    scheduler,
    jobs: new EncodeJobs(model, encoder, { purpose, modelName }),
  };
}

function gpuLayersOf(model: Model, { gpuLayers = Infinity }: EngineConfig): number {
  return model.accelerator === "cpu" ? 0 : Math.min(gpuLayers, model.layers);
}

/** Decode something and throw it away: pages come in, and what runs often is compiled. */
function warmUp(context: Context, parallel: number): void {
  const until = performance.now() + WARM_UP_MS;
  do {
    for (const tokens of new Set([1, parallel])) {
      for (let at = 0; at < tokens; at++) context.put(0, 0, at, true);
      context.decode();
      context.clear();
    }
  } while (performance.now() < until);
}

/** Make a request tokens, and what binds its answer; what is wrong with it is found first. */
function* prepare({ answers, model }: Generating, id: number, request: EngineRequest): Work<Job> {
  checkLimits(request, model.vocabularySize);
  return yield* answers.job(id, request);
}

/** What is told of a request that was not taken. */
function refusalOf(id: number, error: unknown): EngineEvent {
  if (error instanceof AttachmentError) return { id, error: "attachment_unsupported", message: error.message };
  const message = error instanceof PromptError || error instanceof GrammarError || error instanceof LimitError ||
      error instanceof TokenizerError
    ? error.message
    : `The model's chat template refuses this conversation: ${error instanceof Error ? error.message : error}`;
  return { id, error: error instanceof PromptTooLongError ? "context_length" : "invalid_request", message };
}

/** Hand a request for vectors or scores to the scheduler; or say what is wrong with it. */
function acceptTexts(
  { jobs, scheduler, outbox }: Encoding,
  message: Extract<ToEngine, { op: "embed" | "rerank" }>,
): void {
  const { id } = message;
  try {
    scheduler.submit(message.op === "embed" ? jobs.embed(id, message.request) : jobs.rerank(id, message.request));
  } catch (error) {
    if (!(error instanceof TextError)) throw error;
    outbox.add([{ id, error: "invalid_request", message: error.message }]);
  }
}

function handle(engine: Engine, message: ToEngine): void {
  const { outbox, scheduler } = engine;
  switch (message.op) {
    case "generate":
      if (engine.purpose !== "generate") return refuse(engine, message.id, "write");
      return engine.scheduler.prepare(
        message.id,
        prepare(engine, message.id, message.request),
        (error) => refusalOf(message.id, error),
      );
    case "tokenizer":
      if (engine.purpose === "generate") return tokenize(engine, message);
      return refuse(engine, message.id, "tell tokens");
    case "embed":
    case "rerank":
      if (engine.purpose !== "generate") return acceptTexts(engine, message);
      return refuse(engine, message.id, message.op);
    case "cancel":
      outbox.forget(message.id);
      return scheduler.cancel(message.id);
    case "pause":
    case "resume":
      // One answer in one piece: there is nothing to hold back.
      if (engine.purpose !== "generate") return;
      return message.op === "pause" ? engine.scheduler.pause(message.id) : engine.scheduler.resume(message.id);
    case "load":
    case "check":
    case "inspect":
    case "fetched":
      throw new ChannelError(`The engine was told to ${message.op} while it serves`);
  }
}

/** Ask the tokenizer or the chat template; what is asked is short enough to be answered between two steps. */
function tokenize({ outbox, tokenizer }: Generating, { id, request }: Extract<ToEngine, { op: "tokenizer" }>): void {
  try {
    outbox.add([{ id, answer: tokenizer.answer(request) }]);
  } catch (error) {
    outbox.add([refusalOf(id, error)]);
  }
}

/** The daemon asks each engine only for what it said it is for. */
function refuse({ outbox, purpose }: Engine, id: number, what: string): void {
  outbox.add([{ id, error: "invalid_request", message: `A model loaded to ${purpose} does not ${what}` }]);
}

/** Say whether the libraries can be used, and what computes. */
async function check(wish: Extract<ToEngine, { op: "check" }>, fetch: Fetch): Promise<void> {
  const { source, unusable } = await obtainLibraries(wish, thisMachine(engineEnvironment), fetch);
  const { failure, ...backends } = openLibrary(source).loadBackends({ narrow: false });
  const failed = failure !== undefined && source.accelerator !== undefined
    ? [{ accelerator: source.accelerator.name, reason: failure, hasDriver: true }]
    : [];
  send({
    type: "library",
    version: LIBRARY_VERSION,
    folder: source.folder,
    unusable: [...unusable, ...failed],
    ...backends,
  });
}

/** Say what a model is for, and what its chat template is good for. */
async function look(wish: Extract<ToEngine, { op: "inspect" }>, fetch: Fetch): Promise<void> {
  const machine = thisMachine(engineEnvironment);
  const { source } = await obtainLibraries(wish, machine, fetch);
  send(await inspect(openLibrary(source), wish, () => obtainChatLibrary(machine, fetch)));
}

async function main(): Promise<void> {
  if (Deno.build.os !== "windows") confineEarly();
  send({ type: "started" });
  const readable = stdinProbe();
  const inbox = new Inbox({ readSync: (buffer) => Deno.stdin.readSync(buffer), readable });
  const early = inbox.wait();
  const fetch: Fetch = (need) => {
    send({ type: "needs", need });
    if (early.length === 0) early.push(...inbox.wait());
    const answer = early.shift();
    // The daemon is gone, and with it all requests.
    if (answer === undefined) Deno.exit(0);
    if (answer.op !== "fetched") {
      throw new ChannelError("The line after `needs` on the engine's stdin is not `fetched`");
    }
    return answer.failure;
  };
  const first = early.shift();
  if (first === undefined) return;
  if (first.op === "check") return await check(first, fetch);
  if (first.op === "inspect") return await look(first, fetch);
  if (first.op !== "load") throw new ChannelError("The first line on the engine's stdin is not `load`");
  const outbox = new Outbox();
  const pulse = new Pulse(inbox, outbox);
  const engine = await load(first.config, { fetch, outbox, pulse });
  for (const message of early) handle(engine, message);

  const { scheduler } = engine;
  while (!inbox.ended) {
    const idle = !scheduler.busy;
    if (idle) outbox.flush();
    const { beside, busyIn } = engine.purpose === "generate"
      ? engine.scheduler
      : { beside: undefined, busyIn: undefined };
    if (beside !== undefined) await lookAround(beside, idle);
    for (const message of idle && beside === undefined ? pulse.wait(busyIn) : pulse.take()) handle(engine, message);
    outbox.add(await scheduler.step());
  }
  // What other threads compute must not run while the process exits.
  if (engine.purpose !== "generate") return await engine.scheduler.settled();
  while (engine.scheduler.beside !== undefined) await engine.scheduler.beside;
}

/** Let promises settle: those of what is computed beside this thread. With nothing else to do, wait for one a while. */
async function lookAround(beside: Promise<void>, idle: boolean): Promise<void> {
  if (!idle) return await new Promise((resolve) => void setImmediate(resolve));
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([beside, new Promise<void>((resolve) => timer = setTimeout(resolve, LOOK_MS))]);
  clearTimeout(timer);
}

// A service manager tells every process of a service to end; this one ends when the daemon has drained and lets go of it.
if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => {});

try {
  await main();
  Deno.exit(0);
} catch (error) {
  if (
    error instanceof LibraryError || error instanceof RegistryError || error instanceof ModelError ||
    error instanceof MemoryError || error instanceof ChannelError
  ) {
    send({ type: "fatal", message: error.message });
  } else {
    console.error(error);
    send({ type: "fatal", message: `The engine failed: ${error instanceof Error ? error.message : error}` });
  }
  Deno.exit(1);
}
