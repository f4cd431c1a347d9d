/**
 * An engine that computes nothing and speaks `engine/ipc/messages.ts`, for deaths and hangs on command.
 *
 * The content of a request's last message is its script, as JSON (`FakeScript`). What the daemon says is repeated on
 * stderr, a line `got OP ID` each. The first argument is how loading goes (`FakeLoad`), as JSON.
 */
import type { TemplateError } from "@inferd/client/protocol";
import type {
  EngineConfig,
  EngineEvent,
  EngineNeed,
  EnginePurpose,
  EngineRequest,
  FromEngine,
  ToEngine,
} from "../../src/engine/ipc/messages.ts";
import type { Accelerator } from "../../src/config/options.ts";
import type { EngineCommand } from "../../src/engine/ipc/command.ts";
import { everyTurn, nextTurn, stayAlive } from "./waiting.ts";
import type { EmbedRequest } from "../../src/inference/request.ts";

/** What a request makes the engine do. */
export interface FakeScript {
  /** Texts to send: `t0`, `t1`, … */
  readonly count?: number;
  /** All in one message instead of one a step. */
  readonly atOnce?: boolean;
  /** Then: finish (default), say nothing more, say nothing but beats, die, print nonsense, or fail. */
  readonly then?: "done" | "hang" | "beat" | "die" | "nonsense" | "invalid" | "internal";
}

/** How loading goes. */
export interface FakeLoad {
  /** Say this as `fatal`. */
  readonly fatal?: string;
  /** What the model is good for; absent: to generate. */
  readonly purpose?: EnginePurpose;
  /** What is wrong with its chat template. */
  readonly templateError?: TemplateError;
  /** Bytes of the longest text that a token stands for. */
  readonly longestPiece?: number;
  /** Exit with this code. */
  readonly exit?: number;
  /** Never get ready. */
  readonly hang?: boolean;
  /** Say that the accelerator's code is compiled, before it is ready. */
  readonly compiles?: boolean;
  /** Load well once, then as the rest says; needs a path for a marker file. */
  readonly onceWell?: string;
  /** Ask for this first, and fail with what is answered if it does not come. */
  readonly needs?: EngineNeed;
  /** How often it asks without waiting for the answer; absent: once. */
  readonly asks?: number;
  /** Say that this accelerator computes, unless it is told to do without; with it, loading goes as the rest says. */
  readonly accelerator?: Accelerator;
  /** Never say a word. */
  readonly silent?: boolean;
  /** Do not leave when stdin is closed. */
  readonly stubborn?: boolean;
}

/** The command that runs this file as an engine. */
export function fakeEngineCommand(load: FakeLoad = {}): EngineCommand {
  return {
    command: Deno.execPath(),
    args: ["run", "--no-check", "-A", import.meta.url, JSON.stringify(load)],
  };
}

function say(message: FromEngine): void {
  let bytes = new TextEncoder().encode(JSON.stringify(message) + "\n");
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

class FakeEngine {
  readonly #load: FakeLoad;
  readonly #paused = new Set<number>();
  readonly #gone = new Set<number>();
  #config: EngineConfig | undefined;

  constructor(load: FakeLoad) {
    this.#load = load;
  }

  hear(message: ToEngine): void {
    if (this.#load.silent) return;
    console.error(`got ${message.op} ${"id" in message ? message.id : ""}`.trim());
    switch (message.op) {
      case "load":
        this.#config = message.config;
        if (this.#load.needs === undefined) this.#onLoad(message.config);
        else for (let i = 0; i < (this.#load.asks ?? 1); i++) say({ type: "needs", need: this.#load.needs });
        break;
      case "fetched":
        if (message.failure === undefined && this.#config !== undefined) return this.#onLoad(this.#config);
        say({ type: "fatal", message: message.failure ?? "It was not told to load" });
        Deno.exit(1);
        break;
      case "inspect":
        if (this.#load.needs === undefined) this.#onInspect();
        else say({ type: "needs", need: this.#load.needs });
        break;
      case "generate":
        void this.#generate(message.id, message.request);
        break;
      case "embed":
        this.#embed(message.id, message.request.input);
        break;
      case "cancel":
        this.#gone.add(message.id);
        break;
      case "pause":
        this.#paused.add(message.id);
        break;
      case "resume":
        this.#paused.delete(message.id);
        break;
    }
  }

  #onLoad({ modelPath: path, parallel, accelerator }: EngineConfig): void {
    const isFree = this.#load.accelerator !== undefined && accelerator === "cpu";
    if (this.#load.accelerator !== undefined && !isFree) {
      say({ type: "accelerator", accelerator: this.#load.accelerator });
    }
    say({ type: "phase", phase: "mmap", path });
    let well = isFree || this.#load.fatal === undefined && this.#load.exit === undefined && !this.#load.hang;
    if (this.#load.onceWell !== undefined) {
      try {
        Deno.writeTextFileSync(this.#load.onceWell, "", { createNew: true });
        well = true;
      } catch {
        // The marker is there: this is not the first time.
      }
    }
    if (!well) {
      if (this.#load.hang) return;
      if (this.#load.fatal !== undefined) say({ type: "fatal", message: this.#load.fatal });
      Deno.exit(this.#load.exit ?? 1);
    }
    say({ type: "phase", phase: "kv_cache", n_ctx: 512 });
    if (this.#load.compiles) say({ type: "compiles" });
    say({
      type: "ready",
      purpose: this.#load.purpose ?? "generate",
      tools: false,
      thinking: false,
      contextTokens: 512,
      parallel,
      accelerator: "cpu",
      gpuLayers: 0,
      vocabulary: 100,
      ...(this.#load.longestPiece === undefined ? {} : { longestPiece: this.#load.longestPiece }),
      threads: 1,
      residentBytes: 2 ** 20,
      ...this.#templateError(),
    });
  }

  #onInspect(): void {
    const { fatal, exit, purpose = "generate" } = this.#load;
    if (fatal !== undefined) say({ type: "fatal", message: fatal });
    if (fatal !== undefined || exit !== undefined) Deno.exit(exit ?? 1);
    const knows = purpose === "generate" && this.#load.templateError === undefined;
    say({
      type: "inspected",
      purpose,
      trainedContextTokens: 512,
      tools: knows,
      thinking: knows,
      ...this.#templateError(),
    });
    Deno.exit(0);
  }

  #templateError(): { templateError?: TemplateError } {
    const { templateError } = this.#load;
    return templateError === undefined ? {} : { templateError };
  }

  /** The first text says what happens: vectors of ones (long ones if `wide`), an error, nothing ever, or the end. */
  #embed(id: number, input: EmbedRequest["input"]): void {
    switch (input[0]) {
      case "hang":
        break;
      case "die":
        Deno.exit(134);
        break;
      case "invalid":
      case "internal": {
        const error = input[0] === "invalid" ? "invalid_request" : "internal";
        say({ type: "step", events: [{ id, error, message: "No such text" }] });
        break;
      }
      default: {
        const dimensions = input[0] === "wide" ? 4096 : 2;
        const vectors = new Uint8Array(new Float32Array(dimensions * input.length).fill(1).buffer).toBase64();
        say({ type: "step", events: [{ id, vectors, dimensions, tokens: input.length }] });
      }
    }
  }

  async #generate(id: number, request: EngineRequest): Promise<void> {
    const script = JSON.parse(String(request.messages.at(-1)?.content ?? "{}")) as FakeScript;
    const count = script.count ?? 0;
    const texts = Array.from({ length: count }, (_, index): EngineEvent => ({ id, t: `t${index}` }));
    if (script.atOnce) say({ type: "step", events: texts });
    else {
      for (const event of texts) {
        // Let messages in between two steps.
        do await nextTurn(); while (this.#paused.has(id));
        if (this.#gone.has(id)) return;
        say({ type: "step", events: [event] });
      }
    }
    switch (script.then ?? "done") {
      case "done":
        say({ type: "step", events: [{ id, done: "end", prompt: 3, completion: count, cached: 1, ms: [1, 2, 3] }] });
        break;
      case "invalid":
        say({ type: "step", events: [{ id, error: "invalid_request", message: "No such grammar" }] });
        break;
      case "internal":
        say({ type: "step", events: [{ id, error: "internal", message: "Lost a tensor" }] });
        break;
      case "hang":
        break;
      case "beat":
        everyTurn(() => say({ type: "beat" }));
        break;
      case "die":
        console.error("GGML_ASSERT(false) failed");
        for (let at = 0; at < 20; at++) console.error(`libggml.so(ggml_abort+0x${at})[0x7fcaa21b8f42]`);
        Deno.exit(134);
        break;
      case "nonsense":
        Deno.stdout.writeSync(new TextEncoder().encode("Segmentation fault\n"));
        break;
    }
  }
}

if (import.meta.main) {
  const load = JSON.parse(Deno.args[0] ?? "{}") as FakeLoad;
  const engine = new FakeEngine(load);
  if (!load.silent) say({ type: "started" });
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of Deno.stdin.readable) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) engine.hear(JSON.parse(line) as ToEngine);
  }
  if (load.stubborn) await stayAlive();
  else Deno.exit(0);
}
