/**
 * The engine process: loads a model, then serves what the daemon asks on stdin, until stdin ends. Between any two steps
 * it reads what has come in, so a request starts and a cancel counts at the next step.
 *
 * 1 the first line says what to load · 2 library, model, memory, chat template · 3 a throw-away decode · 4 permissions
 * given back · 5 `ready` · 6 serve
 */
import { Chat, PromptError } from "./chat.ts";
import { ChannelError, Inbox, Outbox, send } from "./channel.ts";
import { Context } from "./context.ts";
import { LibraryError, openLibrary, stdinProbe } from "./library.ts";
import { GrammarError, parseGbnf } from "./gbnf.ts";
import { GrammarConstraint } from "./grammar.ts";
import type { EngineConfig, EngineRequest, ToEngine } from "./messages.ts";
import { Model, ModelError } from "./model.ts";
import { giveBackPermissions } from "./permissions.ts";
import { type Job, Scheduler } from "./scheduler.ts";
import { usableCores } from "./threads.ts";

/** A context is no larger than this unless it was asked for. */
const DEFAULT_CONTEXT_TOKENS = 8192;
/** Time for throw-away decodes before `ready`, at least one of each kind. */
const WARM_UP_MS = 30;

/** A number is over what this model has; the message is for the caller. */
class LimitError extends Error {
  override readonly name = "LimitError";
}

interface Engine {
  readonly outbox: Outbox;
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
  const threads = config.threads ?? usableCores();
  const context = new Context(library, model, { contextTokens, parallel, threads });
  const chat = await Chat.of(model, contextTokens);
  warmUp(context, parallel);
  library.endLoading();
  giveBackPermissions();
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
    accelerator: model.accelerator,
    gpuLayers: model.accelerator === "cpu" ? 0 : Math.min(config.gpuLayers ?? Infinity, model.layers),
    vocabulary: model.vocabularySize,
    threads,
  });
  return { outbox: new Outbox(), scheduler, model, chat };
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

/** Make a request tokens and hand it to the scheduler; or say what is wrong with it. */
function accept(engine: Engine, id: number, request: EngineRequest): void {
  try {
    engine.scheduler.submit(toJob(engine, id, request));
  } catch (error) {
    const message = error instanceof PromptError || error instanceof GrammarError || error instanceof LimitError
      ? error.message
      : `The model's chat template refuses this conversation: ${error instanceof Error ? error.message : error}`;
    engine.outbox.add([{ id, error: "invalid_request", message }]);
  }
}

function toJob({ chat, model }: Engine, id: number, request: EngineRequest): Job {
  const { sampling, maxTokens, stop, grammar } = request;
  // Only the engine knows the vocabulary.
  if (sampling.topK > model.vocabularySize) {
    throw new LimitError(`"top_k" must be an integer from 0 to ${model.vocabularySize}, got ${sampling.topK}`);
  }
  // Before the prompt is made tokens, which costs more.
  const rules = grammar === undefined ? undefined : parseGbnf(grammar);
  const { tokens, endTokens, endTexts } = chat.render(request.messages);
  const constraint = rules && new GrammarConstraint(rules, {
    piece: (token) => model.piece(token),
    ends: (token) => model.endsAnswer(token) || endTokens.has(token),
  });
  return {
    id,
    prompt: tokens,
    sampling,
    maxTokens,
    stop,
    endTokens,
    endTexts,
    ...(constraint === undefined ? {} : { constraint }),
  };
}

function handle(engine: Engine, message: ToEngine): void {
  const { outbox, scheduler } = engine;
  switch (message.op) {
    case "generate":
      return accept(engine, message.id, message.request);
    case "cancel":
      outbox.forget(message.id);
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
  const readable = stdinProbe();
  const inbox = new Inbox({ readSync: (buffer) => Deno.stdin.readSync(buffer), readable });
  const [first, ...others] = inbox.wait();
  if (first === undefined) return;
  if (first.op !== "load") throw new ChannelError("The first line on the engine's stdin is not `load`");
  const engine = await load(first.config);
  for (const message of others) handle(engine, message);

  const { outbox, scheduler } = engine;
  while (!inbox.ended) {
    const idle = !scheduler.busy;
    if (idle) outbox.flush();
    for (const message of idle ? inbox.wait() : inbox.take()) handle(engine, message);
    outbox.add(scheduler.step());
  }
}

// A service manager tells every process of a service to end; this one ends when the daemon has drained and lets go of it.
if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => {});

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
