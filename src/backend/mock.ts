/**
 * A backend that computes nothing: it follows a script. For tests and for trying out clients; it counts words as
 * tokens and takes no notice of sampling, stop strings and grammars.
 */
import { delay } from "@std/async";
import type { MockBackendConfig } from "../config/options.ts";
import {
  type Backend,
  type BackendCapabilities,
  type BackendEvent,
  type BackendNotice,
  type BackendState,
  BackendUnavailableError,
  type GenerationRequest,
  ONLY_TEXT,
} from "./backend.ts";

const DEFAULT_TOKENS: readonly string[] = ["This", " is", " a", " mock", " answer", "."];

/** What it says it can take, so that clients have something to show. */
const CONTEXT_TOKENS = 8192;

/** How many tokens without a delay come in one turn of the event loop; more would keep others waiting. */
const TOKENS_PER_TURN = 32;

/** Answers from a script. */
export class MockBackend implements Backend {
  readonly name: string;
  readonly #config: MockBackendConfig;
  #state: BackendState = "loading";

  constructor(config: MockBackendConfig) {
    this.name = config.name;
    this.#config = config;
  }

  get state(): BackendState {
    return this.#state;
  }

  get capabilities(): BackendCapabilities | undefined {
    if (this.#state !== "ready") return undefined;
    return {
      ...ONLY_TEXT,
      accelerator: "none",
      gpuLayers: 0,
      model: this.name,
      contextTokens: CONTEXT_TOKENS,
      parallel: this.#config.parallel ?? 1,
    };
  }

  async start(notify: (notice: BackendNotice) => void, signal: AbortSignal): Promise<void> {
    if (this.#config.script.neverReady) await aborted(signal);
    signal.throwIfAborted();
    this.#state = "ready";
    const capabilities = this.capabilities;
    if (capabilities !== undefined) notify({ type: "ready", capabilities });
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<BackendEvent> {
    const { tokens = DEFAULT_TOKENS, count, firstDelayMs = 0, delayMs = 0 } = this.#config.script;
    const { failBefore = false, failAt, hangAt } = this.#config.script;
    const scripted = count ?? tokens.length;
    const length = Math.min(scripted, request.maxTokens);
    for (let index = 0; index <= length; index++) {
      if (index === hangAt) await aborted(signal);
      if (index === failAt || (failBefore && index === 0)) {
        throw new BackendUnavailableError(`Backend "${this.name}" failed as its script says`);
      }
      if (index === length) break;
      const pauseMs = index === 0 ? firstDelayMs : delayMs;
      if (pauseMs > 0) await delay(pauseMs, { signal });
      else if (index % TOKENS_PER_TURN === TOKENS_PER_TURN - 1) await turn();
      signal.throwIfAborted();
      yield { type: "text", text: count === undefined ? tokens[index] ?? "" : `${index} ` };
    }
    yield {
      type: "done",
      reason: length < scripted ? "length" : "end",
      usage: { promptTokens: countWords(request), completionTokens: length, cachedTokens: 0 },
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#state = "stopped";
    return Promise.resolve();
  }
}

/** Rejects with the signal's reason when it fires, and never otherwise settles. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Lets everybody else run first; by a timer, because the runtime hardly looks at sockets while immediates are due. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function countWords(request: GenerationRequest): number {
  return request.messages.reduce((sum, { content }) => sum + (content.match(/\S+/g)?.length ?? 0), 0);
}
