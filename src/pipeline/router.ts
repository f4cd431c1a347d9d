/**
 * Names the backend for a request: the first in the operator's order that takes requests and whose breaker lets it
 * through. Never retries, never fails over in the middle of a stream.
 */
import { type Backend, type Service, takesRequests } from "../inference/backend.ts";
import {
  BackendUnavailableError,
  EmbedUnsupportedError,
  InvalidRequestError,
  RerankUnsupportedError,
} from "../inference/errors.ts";
import { Breaker, type Report } from "./breaker.ts";
import { listed, shown } from "./resolve.ts";

export interface Route {
  readonly backend: Backend;
  /** Call once, when the request has ended. */
  readonly report: Report;
}

export class Router {
  readonly #now: () => number;
  readonly #onBreaker: ((backend: string, change: "opened" | "closed") => void) | undefined;
  #entries: readonly Entry[];

  /**
   * @param backends In order of priority.
   * @param options `now`: milliseconds of a clock that never goes back. `onBreaker`: told of every change.
   */
  constructor(
    backends: readonly Backend[],
    options: {
      readonly now?: () => number;
      readonly onBreaker?: (backend: string, change: "opened" | "closed") => void;
    } = {},
  ) {
    this.#now = options.now ?? ((): number => performance.now());
    this.#onBreaker = options.onBreaker;
    this.#entries = backends.map((backend) => this.#entryOf(backend));
  }

  /**
   * Replace the list of backends. Those that stay keep their breakers.
   *
   * @param backends In order of priority.
   * @returns For each backend that is gone, a promise that resolves when its last request has ended.
   */
  replace(backends: readonly Backend[]): ReadonlyMap<Backend, Promise<void>> {
    const before = new Map(this.#entries.map((entry) => [entry.backend, entry]));
    this.#entries = backends.map((backend) => before.get(backend) ?? this.#entryOf(backend));
    for (const backend of backends) before.delete(backend);
    return new Map([...before].map(([backend, entry]) => [backend, idle(entry)]));
  }

  /**
   * Choose a backend for one request.
   *
   * @param model The name of a backend or of its model; absent: any.
   * @throws {InvalidRequestError} If none that could has that name.
   * @throws {EmbedUnsupportedError | RerankUnsupportedError} If none could, whatever its state.
   * @throws {BackendUnavailableError} If none can now.
   */
  dispatch(service: Service, model?: string): Route {
    const able = this.#able(service);
    const named = called(able, model);
    if (named.length === 0 && able.length > 0 && model !== undefined) throw unknownModel(model, able);
    const chosen = named.find(isPassable);
    if (chosen !== undefined) return { backend: chosen.backend, report: passed(chosen) };
    if (able.length === 0 && service === "embed") throw new EmbedUnsupportedError("No backend embeds");
    if (able.length === 0 && service === "rerank") throw new RerankUnsupportedError("No backend reranks");
    throw new BackendUnavailableError("No backend is available");
  }

  /** The name of the backend that `dispatch` would choose now; undefined: it would throw. */
  candidate(service: Service, model?: string): string | undefined {
    return called(this.#able(service), model).find(isPassable)?.backend.name;
  }

  /** A backend was restarted: failures of its predecessor no longer count. */
  revived(name: string): void {
    this.#entries.find(({ backend }) => backend.name === name)?.breaker.reset();
  }

  #entryOf(backend: Backend): Entry {
    const breaker = new Breaker(this.#now, (change) => this.#onBreaker?.(backend.name, change));
    return { backend, breaker, running: 0, onIdle: undefined };
  }

  #able(service: Service): readonly Entry[] {
    return this.#entries.filter(({ backend }) => backend.capabilities?.[service]);
  }
}

interface Entry {
  readonly backend: Backend;
  readonly breaker: Breaker;
  /** Requests that were dispatched to it and have not ended. */
  running: number;
  /** Called when none is left; absent: nothing waits for that. */
  onIdle: (() => void) | undefined;
}

/** A request goes to a backend. */
function passed(entry: Entry): Report {
  const report = entry.breaker.pass();
  entry.running++;
  return (outcome) => {
    entry.running--;
    report(outcome);
    if (entry.running === 0) entry.onIdle?.();
  };
}

function idle(entry: Entry): Promise<void> {
  if (entry.running === 0) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  entry.onIdle = resolve;
  return promise;
}

function called(entries: readonly Entry[], model: string | undefined): readonly Entry[] {
  if (model === undefined) return entries;
  return entries.filter(({ backend: { name, capabilities } }) => name === model || capabilities?.model === model);
}

function isPassable({ backend, breaker }: Entry): boolean {
  return takesRequests(backend.state) && breaker.passable;
}

function unknownModel(model: string, able: readonly { readonly backend: Backend }[]): InvalidRequestError {
  const names = new Set(able.flatMap(({ backend }) => [backend.capabilities?.model ?? backend.name, backend.name]));
  return new InvalidRequestError(`"model" must be ${listed([...names])}, got ${shown(model)}`);
}
