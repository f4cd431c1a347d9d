/**
 * The engine process: loads a model, then serves the daemon's requests on a private socket or stdin until it is closed.
 * Messages are read between steps, so requests start and cancellations take effect at the next step.
 *
 * 1 the first line is the configuration · 2 libraries, downloaded by the daemon if missing · 3 model, memory, chat
 * template · 4 warm-up decode · 5 drop permissions · 6 `ready` · 7 serve
 */
import { exit, ownArguments } from "../confinement/confined.ts";
import { PromptError, PromptTooLongError } from "./chat/chat.ts";
import { AttachmentError } from "./chat/render/messages.ts";
import { ChannelError, Inbox, type Input, Outbox, type Output, send, sendText, sendThrough } from "./ipc/channel.ts";
import { obtainChatLibrary } from "./chat/render/chat_library.ts";
import { engineEnvironment } from "./ipc/command.ts";
import { TextError } from "./encode/encode_scheduler.ts";
import { type Fetch, obtainLibraries } from "./native/libraries.ts";
import { connectToDaemon } from "./native/libc/daemon_socket.ts";
import { openLibrary } from "./native/library.ts";
import { stdinProbe } from "./native/libc/stdin_probe.ts";
import { LIBRARY_VERSION, LibraryError } from "../libraries/library_files.ts";
import { RegistryError } from "../libraries/registry.ts";
import { GrammarError } from "../grammar/rules.ts";
import { inspect } from "./inspection.ts";
import { withDefaults, withSystem } from "./generate/request_defaults.ts";
import { checkLimits, LimitError } from "./generate/limits.ts";
import { MemoryError } from "./native/memory.ts";
import type { EngineEvent, EngineRequest, ToEngine } from "./ipc/messages.ts";
import { ModelError } from "./native/first_look.ts";
import { confineEarly } from "./permissions.ts";
import { Lookout } from "./ipc/lookout.ts";
import { Pulse } from "./ipc/pulse.ts";
import { TokenizerError } from "./chat/tokenizer.ts";
import type { Job } from "./generate/running.ts";
import type { Work } from "../work/work.ts";
import { thisMachine } from "./native/this_machine.ts";
import { type Encoding, type Engine, type Generating, load } from "./load.ts";
import { errorText } from "../log/error_text.ts";

/** Tokenize a request and compile its constraints; validates it first. */
function* prepare({ answers, model, defaults }: Generating, id: number, asked: EngineRequest): Work<Job> {
  const request = withDefaults(asked, defaults);
  checkLimits(request, model.vocabularySize);
  return yield* answers.job(id, request);
}

function refusalOf(id: number, error: unknown): EngineEvent {
  if (error instanceof AttachmentError) return { id, error: "attachment_unsupported", message: error.message };
  const message = error instanceof PromptError || error instanceof GrammarError || error instanceof LimitError ||
      error instanceof TokenizerError
    ? error.message
    : `The model's chat template refuses this conversation: ${errorText(error)}`;
  return error instanceof PromptTooLongError
    ? { id, error: "context_length", message, size: error.size }
    : { id, error: "invalid_request", message };
}

/** Submit an embed or rerank request, or report what is wrong with it. */
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
      if (engine.purpose !== "generate") return refuse(engine, message.id, "tell tokens");
      return engine.scheduler.answer(message.id, answer(engine, message), (error) => refusalOf(message.id, error));
    case "more":
      if (engine.purpose !== "generate") return refuse(engine, message.id, "tell tokens");
      return engine.scheduler.answer(message.id, more(engine, message.id), (error) => refusalOf(message.id, error));
    case "embed":
    case "rerank":
      if (engine.purpose !== "generate") return acceptTexts(engine, message);
      return refuse(engine, message.id, message.op);
    case "cancel":
      outbox.forget(message.id);
      if (engine.purpose === "generate") engine.tokenizer.forget(message.id);
      return scheduler.cancel(message.id);
    case "pause":
    case "resume":
      // Answers come in one piece; there is nothing to pause.
      if (engine.purpose !== "generate") return;
      return message.op === "pause" ? engine.scheduler.pause(message.id) : engine.scheduler.resume(message.id);
    case "load":
    case "check":
    case "inspect":
    case "fetched":
      throw new ChannelError(`The engine was told to ${message.op} while it serves`);
  }
}

function* answer(
  { tokenizer, defaults }: Generating,
  { id, request }: Extract<ToEngine, { op: "tokenizer" }>,
): Work<EngineEvent> {
  const told = "conversation" in request
    ? {
      ...request,
      conversation: { ...request.conversation, messages: withSystem(request.conversation.messages, defaults.system) },
    }
    : request;
  return { id, ...yield* tokenizer.answer(id, told) };
}

// deno-lint-ignore require-yield -- A small piece of work, for which there must be time all the same.
function* more({ tokenizer }: Generating, id: number): Work<EngineEvent> {
  return { id, ...tokenizer.more(id) };
}

/** The daemon sends only requests that match the purpose; anything else is an error. */
function refuse({ outbox, purpose }: Engine, id: number, what: string): void {
  outbox.add([{ id, error: "invalid_request", message: `A model loaded to ${purpose} does not ${what}` }]);
}

/** Report whether the libraries are usable, and the accelerator. */
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

/** Report a model's purpose, and the capabilities of its chat template. */
async function look(wish: Extract<ToEngine, { op: "inspect" }>, fetch: Fetch): Promise<void> {
  const machine = thisMachine(engineEnvironment);
  const { source } = await obtainLibraries(wish, machine, fetch);
  send(await inspect(openLibrary(source), wish, () => obtainChatLibrary(machine, fetch)));
}

/** Open the input: the private socket named on the command line, with the number to send first, or stdin. */
async function openInput(): Promise<Input> {
  const [path, number] = await ownArguments();
  if (path === undefined) return { readSync: (buffer) => Deno.stdin.readSync(buffer), readable: stdinProbe() };
  const daemon = connected(path);
  sendThrough(daemon);
  sendText(`${number}\n`);
  return daemon;
}

/** Without a connection, errors can only be written to stderr. */
function connected(path: string): Input & Output {
  try {
    return connectToDaemon(path);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    exit(1);
  }
}

async function main(): Promise<void> {
  if (Deno.build.os !== "windows") confineEarly();
  const input = await openInput();
  send({ type: "started" });
  const inbox = new Inbox(input);
  const early = inbox.wait();
  const fetch: Fetch = (need) => {
    send({ type: "needs", need });
    if (early.length === 0) early.push(...inbox.wait());
    const answer = early.shift();
    // The daemon has exited, and all requests with it.
    if (answer === undefined) exit(0);
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
  const lookout = new Lookout();
  while (!inbox.ended) {
    const idle = !scheduler.busy;
    if (idle) outbox.flush();
    const { beside, busyIn } = engine.purpose === "generate"
      ? engine.scheduler
      : { beside: undefined, busyIn: undefined };
    if (beside !== undefined) await lookout.look(beside, idle);
    for (const message of idle && beside === undefined ? pulse.wait(busyIn) : pulse.take()) handle(engine, message);
    outbox.add(await scheduler.step());
  }
  // Other threads must not compute while the process exits.
  if (engine.purpose !== "generate") return await engine.scheduler.settled();
  while (engine.scheduler.beside !== undefined) await engine.scheduler.beside;
}

// Service managers send SIGTERM to all processes of a service; this one exits after the daemon has drained.
if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => {});

try {
  await main();
  exit(0);
} catch (error) {
  if (
    error instanceof LibraryError || error instanceof RegistryError || error instanceof ModelError ||
    error instanceof MemoryError || error instanceof ChannelError
  ) {
    send({ type: "fatal", message: error.message, ...(error instanceof MemoryError ? { outOfMemory: true } : {}) });
  } else {
    console.error(error);
    send({ type: "fatal", message: `The engine failed: ${errorText(error)}` });
  }
  exit(1);
}
