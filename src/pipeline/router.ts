/**
 * Names the backend for a request: the first in the operator's order that takes requests and whose breaker lets it through.
 * Never retries, never fails over in the middle of a stream.
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

/** A backend for one request. */
export interface Route {
  readonly backend: Backend;
  /** To be called once, when the request has ended. */
  readonly report: Report;
}

/** Chooses among the daemon's backends. */
export class Router {
  readonly #entries: readonly Entry[];

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
    const now = options.now ?? ((): number => performance.now());
    this.#entries = backends.map((backend) => ({
      backend,
      breaker: new Breaker(now, (change) => options.onBreaker?.(backend.name, change)),
    }));
  }

  /**
   * Choose a backend for one request.
   *
   * @param service What the request asks for.
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
    if (chosen !== undefined) return { backend: chosen.backend, report: chosen.breaker.pass() };
    if (able.length === 0 && service === "embed") throw new EmbedUnsupportedError("No backend embeds");
    if (able.length === 0 && service === "rerank") throw new RerankUnsupportedError("No backend reranks");
    throw new BackendUnavailableError("No backend is available");
  }

  /** The name of the backend that `dispatch` would choose now; undefined: it would throw. */
  candidate(service: Service, model?: string): string | undefined {
    return called(this.#able(service), model).find(isPassable)?.backend.name;
  }

  /** A backend has been started anew: the failures of the one before it, whose death mended them, do not count. */
  revived(name: string): void {
    this.#entries.find(({ backend }) => backend.name === name)?.breaker.reset();
  }

  #able(service: Service): readonly Entry[] {
    return this.#entries.filter(({ backend }) => backend.capabilities?.[service]);
  }
}

interface Entry {
  readonly backend: Backend;
  readonly breaker: Breaker;
}

function called(entries: readonly Entry[], model: string | undefined): readonly Entry[] {
  return model === undefined ? entries : entries.filter(({ backend }) => isCalled(backend, model));
}

function isPassable({ backend, breaker }: Entry): boolean {
  return takesRequests(backend.state) && breaker.passable;
}

function isCalled({ name, capabilities }: Backend, model: string): boolean {
  return name === model || capabilities?.model === model;
}

function unknownModel(model: string, able: readonly { readonly backend: Backend }[]): InvalidRequestError {
  const names = new Set(able.flatMap(({ backend }) => [backend.capabilities?.model ?? backend.name, backend.name]));
  return new InvalidRequestError(`"model" must be ${listed([...names])}, got ${shown(model)}`);
}
