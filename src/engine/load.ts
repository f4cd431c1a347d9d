/** Steps 2 to 6 of an engine's start: libraries, model, memory, chat template, a throw-away decode, and `ready`. */
import { Answers, type Unenforced } from "./generate/answers.ts";
import { Chat, PromptError } from "./chat/chat.ts";
import { type Outbox, send } from "./ipc/channel.ts";
import { obtainChatLibrary } from "./chat/render/chat_library.ts";
import { engineEnvironment } from "./ipc/command.ts";
import { BATCH_TOKENS, Context } from "./native/context.ts";
import { EncodeJobs } from "./encode/encode_jobs.ts";
import { EncodeScheduler } from "./encode/encode_scheduler.ts";
import { ModelEncoder } from "./encode/encoder.ts";
import { type Fetch, obtainLibraries } from "./native/libraries.ts";
import { type Library, openLibrary } from "./native/library.ts";
import { availableBytes, contextBytes, fitContext, type MemoryBudget } from "./native/memory.ts";
import { DEFAULT_CONTEXT_TOKENS } from "../inference/backend.ts";
import { defined } from "../inference/objects.ts";
import { samplingOf } from "../inference/recommended_sampling.ts";
import type { EngineConfig } from "./ipc/messages.ts";
import { Model } from "./native/model.ts";
import { loadDraftModel, openDraft } from "./draft_model.ts";
import { ModelError } from "./native/first_look.ts";
import { confine } from "./permissions.ts";
import type { Pulse } from "./ipc/pulse.ts";
import { Tokenizer } from "./chat/tokenizer.ts";
import { purposeOf } from "./encode/purpose.ts";
import type { PoolingType } from "./native/text_context.ts";
import { MOST_GUESSED, MOST_STREAMS } from "./generate/ahead/speculation.ts";
import type { RequestDefaults } from "./generate/request_defaults.ts";
import { Scheduler } from "./generate/scheduler.ts";
import { thisMachine } from "./native/this_machine.ts";
import { usableCores } from "./native/threads/cores.ts";

/** Time for warm-up decodes before `ready`, at least one of each kind. */
const WARM_UP_MS = 30;
const WARM_UP_TOKENS = 128;

/** Communication with the daemon. */
export interface Talk {
  readonly outbox: Outbox;
  readonly pulse: Pulse;
}

/** A generating engine. */
export interface Generating {
  readonly purpose: "generate";
  readonly outbox: Outbox;
  readonly scheduler: Scheduler;
  readonly model: Model;
  readonly answers: Answers;
  readonly tokenizer: Tokenizer;
  readonly defaults: RequestDefaults;
}

/** An embedding or rerank engine. */
export interface Encoding {
  readonly purpose: "embed" | "rerank";
  readonly outbox: Outbox;
  readonly scheduler: EncodeScheduler;
  readonly jobs: EncodeJobs;
}

export type Engine = Generating | Encoding;

export async function load(
  config: EngineConfig,
  { fetch, outbox, pulse }: Talk & { readonly fetch: Fetch },
): Promise<Engine> {
  const machine = thisMachine(engineEnvironment);
  const { source, unusable } = await obtainLibraries(config, machine, fetch);
  for (const { accelerator, reason, hasDriver } of unusable) {
    if (hasDriver) tellUnusable(accelerator, reason);
  }
  if (source.accelerator !== undefined) send({ type: "accelerator", accelerator: source.accelerator.name });
  send({ type: "phase", phase: "mmap", path: config.modelPath });
  const library = openLibrary(source);
  const available = (config.memoryBytes ?? availableBytes()) - (config.reservedBytes ?? 0);
  const model = Model.load(library, config.partPaths ?? [config.modelPath], {
    available,
    ...defined({ gpuLayers: config.gpuLayers, settings: config.native, chatTemplate: config.chatTemplate }),
    onProgress: (share) =>
      send({ type: "phase", phase: "mmap", path: config.modelPath, progress: Math.round(share * 100) / 100 }),
    onFailure: (reason) => {
      send({ type: "accelerator", accelerator: "cpu" });
      tellUnusable(source.accelerator?.name ?? "cpu", reason);
    },
  });
  const purpose = purposeOf(model, config);
  if (config.draft !== undefined && purpose.purpose !== "generate") {
    throw new ModelError(`A draft model guesses for a model that generates text, "${config.modelPath}" does not`);
  }
  if (purpose.purpose !== "generate") return loadEncoder({ config, library, model, outbox, pulse, ...purpose });
  const drafting = config.draft && loadDraftModel(library, config.draft, {
    model,
    modelPath: config.modelPath,
    available,
    ...defined({ gpuLayers: config.gpuLayers, settings: config.native }),
  });
  // An accelerator's memory is managed by the native library.
  const budget: MemoryBudget = {
    available: model.accelerator === "cpu" ? available : Infinity,
    weightBytes: model.bytes + (drafting?.model.bytes ?? 0),
    bytesPerToken: model.bytesPerToken + (drafting?.bytesPerToken ?? 0),
  };
  const contextTokens = contextTokensOf(model, config, budget);
  send({ type: "phase", phase: "kv_cache", n_ctx: contextTokens });
  const { parallel } = config;
  const threads = config.threads ?? (isOffloaded(model, config) ? 1 : usableCores());
  const draftBytes = contextTokens * (drafting?.bytesPerToken ?? 0);
  const memoryBytes = contextBytes(budget) - draftBytes;
  const chat = await Chat.of(model, contextTokens, () => obtainChatLibrary(machine, fetch));
  const kept = keptPrompts(chat, model, { warm: config.warm ?? [], contextTokens });
  const guesses = config.speculation === false || model.wholeSequencesOnly ? 0 : MOST_GUESSED;
  const context = new Context(library, model, {
    contextTokens,
    parallel,
    guesses,
    kept: kept.map(({ length }) => length),
    threads,
    memoryBytes,
    lookIn: () => pulse.beat(),
  });
  if (model.accelerator !== "cpu") send({ type: "compiles" });
  warmUp(context, parallel);
  if (model.accelerator !== "cpu") warmUpPrompts(context, Math.min(BATCH_TOKENS, contextTokens));
  const opened = drafting && openDraft(library, drafting, {
    contextTokens,
    threads,
    memoryBytes: draftBytes,
    // No batch is aborted for a draft.
    lookIn: () => {
      pulse.beat();
      return false;
    },
    onFailure: (reason) => send({ type: "warning", msg: "draft_failed", fields: { reason } }),
  });
  if (opened !== undefined) warmUp(opened.context, MOST_STREAMS);
  library.endLoading({ alone: true, accelerator: model.accelerator });
  const residentBytes = finishOpening(model);
  const scheduler = new Scheduler({
    decoder: context,
    parallel,
    contextTokens,
    wholeSequencesOnly: model.wholeSequencesOnly,
    kept,
    guesses: Math.min(guesses, contextTokens - parallel),
    ...defined({ draft: opened?.draft, quietMs: config.quietMs }),
  });
  pulse.abandons = (ids) => scheduler.abandons(ids);
  pulse.yields = () => scheduler.yields;
  send({
    type: "ready",
    purpose: "generate",
    tools: chat.tools,
    thinking: chat.thinking,
    ...(model.infill === undefined ? {} : { infill: true }),
    ...(chat.fault === undefined ? {} : { templateError: { ...chat.fault, format: chat.format } }),
    contextTokens,
    parallel,
    accelerator: model.accelerator,
    gpuLayers: gpuLayersOf(model, config),
    vocabulary: model.vocabularySize,
    longestPiece: model.longestPiece,
    threads,
    residentBytes,
  });
  return {
    purpose: "generate",
    outbox,
    scheduler,
    model,
    answers: new Answers(model, chat, { ...config, onUnenforced: tellUnenforced() }),
    tokenizer: new Tokenizer(model, chat),
    defaults: {
      sampling: { ...samplingOf(model.metadata), ...config.sampling },
      ...(config.system === undefined ? {} : { system: config.system }),
    },
  };
}

/** Maximum distinct warnings about tool schemas. */
const MOST_TOLD = 1000;

/** Warns about parts of tool schemas that are not enforced, once each. */
function tellUnenforced(): (what: Unenforced) => void {
  const told = new Set<string>();
  return (what) => {
    const key = JSON.stringify(what);
    if (told.has(key) || told.size >= MOST_TOLD) return;
    told.add(key);
    // Nothing else from the request may be logged.
    send({ type: "warning", msg: "tool_schema_not_enforced", fields: { tool: what.place, keywords: what.keywords } });
  };
}

/**
 * Confine the process: everything is open.
 *
 * @returns Its memory before.
 */
function finishOpening({ accelerator }: Model): number {
  const residentBytes = Deno.memoryUsage().rss;
  const reason = confine(accelerator);
  // Not every system can confine native code.
  if (reason !== undefined) send({ type: "warning", msg: "engine_unconfined", fields: { reason } });
  return residentBytes;
}

/** If there is such a device, the log says why it is not used. */
function tellUnusable(accelerator: string, reason: string): void {
  send({ type: "warning", msg: "accelerator_unusable", fields: { accelerator, reason } });
}

/** Prompt prefixes to keep; reports those that cannot be kept. */
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

/** Context size of a request: as configured, or as much as is useful and fits. */
function contextTokensOf(model: Model, config: EngineConfig, budget: MemoryBudget): number {
  const asked = config.contextTokens !== undefined || config.wholeContext === true;
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
  const threads = config.threads ?? (isOffloaded(model, config) ? 1 : usableCores());
  const encoder = new ModelEncoder(library, model, {
    ...(config.contextTokens === undefined ? {} : { contextTokens: config.contextTokens }),
    threads,
    pooling,
    lookIn: () => pulse.beat(),
  });
  const contextTokens = encoder.textTokens;
  send({ type: "phase", phase: "kv_cache", n_ctx: contextTokens });
  if (model.accelerator !== "cpu") send({ type: "compiles" });
  const until = performance.now() + WARM_UP_MS;
  for (const tokens of [1, Math.min(contextTokens, WARM_UP_TOKENS)]) {
    do encoder.warmUp(tokens); while (performance.now() < until);
  }
  library.endLoading();
  const residentBytes = finishOpening(model);
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
    residentBytes,
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

/** Whether the accelerator computes everything but the lookup of tokens; the output layer counts as one more. */
function isOffloaded(model: Model, { gpuLayers = Infinity }: EngineConfig): boolean {
  return model.accelerator !== "cpu" && gpuLayers > model.layers;
}

function gpuLayersOf(model: Model, { gpuLayers = Infinity }: EngineConfig): number {
  return model.accelerator === "cpu" ? 0 : Math.min(gpuLayers, model.layers);
}

/** Warm-up decode: loads pages and compiles hot code. */
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

/**
 * Decode prompts of all sizes and throw them away: a GPU has code of its own for each size, which its driver loads, or
 * even compiles, at first use.
 *
 * @param most Tokens of the longest.
 */
function warmUpPrompts(context: Context, most: number): void {
  for (let tokens = 2; tokens <= most; tokens *= 2) {
    for (let at = 0; at < tokens; at++) context.put(0, at, 0, at === tokens - 1);
    context.decode();
    context.clear();
  }
}
