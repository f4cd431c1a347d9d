/**
 * The engine process: loads a model, then serves what the daemon asks on stdin, until stdin ends. Between any two steps
 * it reads what has come in, so a request starts and a cancel counts at the next step.
 *
 * 1 the first line says what to load · 2 library, model, memory, chat template · 3 a throw-away decode · 4 permissions
 * given back · 5 `ready` · 6 serve
 */
import { Chat, PromptError } from "./chat.ts";
import { ChannelError, messagesFrom, send } from "./channel.ts";
import { Context } from "./context.ts";
import { LibraryError, openLibrary } from "./library.ts";
import type { EngineConfig, EngineRequest, ToEngine } from "./messages.ts";
import { Model, ModelError } from "./model.ts";
import { type Job, Scheduler } from "./scheduler.ts";
import { calibrateThreads, usableCores } from "./threads.ts";

/** A context is no larger than this unless it was asked for. */
const DEFAULT_CONTEXT_TOKENS = 8192;
/** Silence while working, in milliseconds, after which the engine says that it lives. */
const BEAT_MS = 1000;

interface Engine {
  readonly scheduler: Scheduler;
  readonly model: Model;
  readonly chat: Chat;
}

async function load(config: EngineConfig): Promise<Engine> {
  send({ type: "phase", phase: "mmap", path: config.modelPath });
  const library = await openLibrary();
  const model = Model.load(
    library,
    config.modelPath,
    config.gpuLayers === undefined ? {} : { gpuLayers: config.gpuLayers },
  );
  const contextTokens = config.contextTokens ?? Math.min(model.trainedContextTokens, DEFAULT_CONTEXT_TOKENS);
  send({ type: "phase", phase: "kv_cache", n_ctx: contextTokens });
  const { parallel } = config;
  const maxThreads = config.threads ?? usableCores();
  const context = new Context(library, model, { contextTokens, parallel, maxThreads });
  const chat = await Chat.of(model, contextTokens);
  context.put(0, 0, 0, true);
  context.decode();
  context.clear();
  const threads = config.threads ?? calibrateThreads(context, maxThreads, parallel).several;
  library.endLoading();
  for (const name of ["read", "ffi", "sys", "env", "import"] as const) Deno.permissions.revokeSync({ name });
  const scheduler = new Scheduler({
    decoder: context,
    vocabulary: model,
    parallel,
    contextTokens,
    wholeSequencesOnly: model.wholeSequencesOnly,
  });
  send({
    type: "ready",
    contextTokens,
    parallel,
    accelerator: "cpu",
    gpuLayers: 0,
    vocabulary: model.vocabularySize,
    threads,
  });
  return { scheduler, model, chat };
}

/** Make a request tokens and hand it to the scheduler; or say what is wrong with it. */
function accept({ chat, scheduler }: Engine, id: number, request: EngineRequest): void {
  try {
    scheduler.submit(toJob(chat, id, request));
  } catch (error) {
    const message = error instanceof PromptError
      ? error.message
      : `The model's chat template refuses this conversation: ${error instanceof Error ? error.message : error}`;
    send({ type: "step", events: [{ id, error: "invalid_request", message }] });
  }
}

function toJob(chat: Chat, id: number, request: EngineRequest): Job {
  const { tokens, endTokens, endTexts } = chat.render(request.messages);
  const { sampling, maxTokens, stop } = request;
  return { id, prompt: tokens, sampling, maxTokens, stop, endTokens, endTexts };
}

function handle(engine: Engine, message: ToEngine): void {
  const { scheduler } = engine;
  switch (message.op) {
    case "generate":
      return accept(engine, message.id, message.request);
    case "cancel":
      return scheduler.cancel(message.id);
    case "pause":
      return scheduler.pause(message.id);
    case "resume":
      return scheduler.resume(message.id);
    case "load":
      throw new ChannelError("The engine was told to load twice");
  }
}

async function main(): Promise<void> {
  const messages = messagesFrom(Deno.stdin);
  const first = await messages.next();
  if (first.done) return;
  if (first.value.op !== "load") throw new ChannelError("The first line on the engine's stdin is not `load`");
  const engine = await load(first.value.config);

  let wake = (): void => {};
  let ended: unknown;
  let running = true;
  const reading = (async (): Promise<void> => {
    for await (const message of messages) {
      handle(engine, message);
      wake();
    }
  })();
  reading.catch((error) => ended = error).finally(() => {
    running = false;
    wake();
  });

  let lastSent = performance.now();
  while (running) {
    if (!engine.scheduler.busy) {
      await new Promise<void>((resolve) => wake = resolve);
      lastSent = performance.now();
      continue;
    }
    const events = engine.scheduler.step();
    if (events.length > 0) send({ type: "step", events });
    else if (performance.now() - lastSent >= BEAT_MS) send({ type: "beat" });
    if (events.length > 0 || performance.now() - lastSent >= BEAT_MS) lastSent = performance.now();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  if (ended !== undefined) throw ended;
}

try {
  await main();
  Deno.exit(0);
} catch (error) {
  if (error instanceof LibraryError || error instanceof ModelError || error instanceof ChannelError) {
    send({ type: "fatal", message: error.message });
  } else {
    console.error(error);
    send({ type: "fatal", message: `The engine failed: ${error instanceof Error ? error.message : error}` });
  }
  Deno.exit(1);
}
