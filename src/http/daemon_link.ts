/**
 * The bridge's end of the daemon's sockets: one client per surface, connected when first needed, and what the admin
 * stream says of the backends. A daemon that ends and comes back is followed; nothing here waits for one.
 */
import {
  type Admin,
  admin,
  type AdminEvent,
  type AdminSnapshot,
  type Capabilities,
  type Client,
  connect,
  type ConnectOptions,
  type SurfaceName,
} from "@inferd/client";
import { delay } from "@std/async";
import { ApiError } from "./api_error.ts";

/** Where the daemon is. */
export interface DaemonPlace {
  readonly surfaces: Readonly<Record<SurfaceName, ConnectOptions>>;
  /** The admin socket's path; absent: where the environment says. */
  readonly admin: { readonly path?: string };
}

/** What a model is asked for. */
export type ModelService = "generate" | "embed" | "rerank";

/** A model that a request may name. */
export interface ServedModel {
  /** What the daemon knows it as. */
  readonly name: string;
  /** The backends that serve it, in the operator's order; at least one. */
  readonly backends: readonly [Capabilities, ...Capabilities[]];
}

/** How long to wait before the admin stream is looked for again, in milliseconds. */
const RECONNECT_MS = 500;

const SERVES: Readonly<Record<ModelService, (capabilities: Capabilities) => boolean>> = {
  generate: ({ v2 }) => v2,
  embed: ({ embed }) => embed,
  rerank: ({ rerank }) => rerank === true,
};

/** Lends clients and knows the backends. */
export class DaemonLink implements AsyncDisposable {
  /** What somebody on this machine types to download a model. */
  readonly pullCommand: string;
  readonly #place: DaemonPlace;
  readonly #aliases: ReadonlyMap<string, string>;
  readonly #clients = new Map<SurfaceName, Promise<Client>>();
  readonly #closing = new AbortController();
  readonly #watching: Promise<void>;
  /** By backend; told by the admin stream, empty while there is none. */
  readonly #capabilities = new Map<string, Capabilities>();
  #state: string | undefined;
  #restarts = 0;

  /**
   * @param place Where the daemon is.
   * @param aliases Names that clients use for models, and what the daemon calls them.
   * @param pullCommand What somebody on this machine types to download a model.
   */
  constructor(place: DaemonPlace, aliases: Readonly<Record<string, string>> = {}, pullCommand = "inferd pull") {
    this.pullCommand = pullCommand;
    this.#place = place;
    this.#aliases = new Map(Object.entries(aliases));
    this.#watching = this.#watch();
  }

  /** The daemon's state as the admin stream last told it; `undefined` where there is no daemon. */
  get state(): string | undefined {
    return this.#state;
  }

  /** How often an engine was started again while the admin stream was followed. */
  get restarts(): number {
    return this.#restarts;
  }

  /** The daemon's admin socket, on which each call connects anew. */
  get admin(): Admin {
    return admin(this.#place.admin);
  }

  /** Names that clients use for models, and what the daemon calls them. */
  get aliases(): ReadonlyMap<string, string> {
    return this.#aliases;
  }

  /**
   * A client for a surface.
   *
   * @throws {ConnectError} If nothing listens there now.
   */
  client(surface: SurfaceName): Promise<Client> {
    let client = this.#clients.get(surface);
    if (client === undefined) {
      client = connect({
        ...this.#place.surfaces[surface],
        timeoutMs: 0,
        // Clients of the bridge wait and retry as they like; the daemon decides whom it admits.
        maxRetries: 0,
        maxConcurrent: Infinity,
      });
      this.#clients.set(surface, client);
      client.catch(() => this.#clients.delete(surface));
    }
    return client;
  }

  /**
   * One look at the daemon.
   *
   * @throws {ConnectError | TimeoutError} If there is none.
   */
  snapshot(): Promise<AdminSnapshot> {
    return admin(this.#place.admin).snapshot({ signal: this.#closing.signal });
  }

  /**
   * What the daemon does, from now on.
   *
   * @param signal Ends it.
   */
  watch(signal: AbortSignal): AsyncIterable<AdminEvent> {
    return admin(this.#place.admin).watch({ signal });
  }

  /** What the backends can do, in the operator's order. */
  async capabilities(): Promise<readonly Capabilities[]> {
    if (this.#state !== undefined) return [...this.#capabilities.values()];
    return (await this.snapshot()).capabilities;
  }

  /**
   * Every model the daemon serves.
   *
   * @throws {ConnectError | TimeoutError} If there is no daemon.
   */
  async models(): Promise<readonly ServedModel[]> {
    const models = new Map<string, [Capabilities, ...Capabilities[]]>();
    for (const backend of await this.capabilities()) {
      const name = backend.model ?? backend.backend;
      const known = models.get(name);
      if (known === undefined) models.set(name, [backend]);
      else known.push(backend);
    }
    return [...models].map(([name, backends]) => ({ name, backends }));
  }

  /**
   * The model a request names.
   *
   * @param asked The name of a model, of a backend, or an alias; `undefined`: the first in the operator's order.
   * @param service What it is wanted for.
   * @throws {ApiError} 404 if no backend that could answer has that name.
   * @throws {ConnectError | TimeoutError} If there is no daemon.
   */
  async model(asked: string | undefined, service: ModelService): Promise<ServedModel> {
    const all = await this.capabilities();
    const able = all.filter(SERVES[service]);
    const wanted = asked === undefined ? undefined : this.#aliases.get(asked) ?? asked;
    const [first, ...others] = wanted === undefined ? able.slice(0, 1) : able.filter((one) => isCalled(one, wanted));
    if (first !== undefined) return { name: wanted ?? first.model ?? first.backend, backends: [first, ...others] };
    throw notServed(asked, service, {
      names: namesOf(able, this.#aliases),
      isOther: wanted !== undefined && all.some((one) => isCalled(one, wanted)),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const clients = await Promise.allSettled(this.#clients.values());
    await Promise.all(clients.map(async (client) => {
      if (client.status === "fulfilled") await client.value.close();
    }));
    await this.#watching;
  }

  /** Follow the admin stream until this is disposed of. Whatever ends it, it is looked for again. */
  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        for await (const event of admin(this.#place.admin).watch({ signal })) {
          if (event.status === "capabilities") {
            this.#capabilities.set(event.backend, event);
          } else if (
            event.status !== "log_stopped" && event.status !== "reload_failed" && event.status !== "reloaded"
          ) {
            if (event.status === "restarting" && this.#state !== "restarting") this.#restarts++;
            this.#state = event.status;
          }
        }
      } catch {
        // No daemon, or it went away: a request finds out by itself, and says so.
      }
      this.#state = undefined;
      this.#capabilities.clear();
      await delay(RECONNECT_MS, { signal, persistent: false }).catch(() => {});
    }
  }
}

function isCalled({ backend, model }: Capabilities, name: string): boolean {
  return backend === name || model === name;
}

/** What requests may say: the models, and the aliases that lead to one of them. */
function namesOf(able: readonly Capabilities[], aliases: ReadonlyMap<string, string>): ReadonlySet<string> {
  const leading = [...aliases].filter(([, name]) => able.some((one) => isCalled(one, name)));
  return new Set([...able.map(({ backend, model }) => model ?? backend), ...leading.map(([alias]) => alias)]);
}

/** `isOther`: the model is there, for something else. */
function notServed(asked: string | undefined, service: ModelService, { names, isOther }: {
  readonly names: ReadonlySet<string>;
  readonly isOther: boolean;
}): ApiError {
  const list = [...names].join(", ");
  const there = names.size === 0 ? `no backend can ${service}` : `those that can ${service}: ${list}`;
  const what = isOther ? `cannot ${service}` : "does not exist";
  return new ApiError(
    404,
    asked === undefined ? `There is no model: ${there}` : `The model ${JSON.stringify(asked)} ${what}; ${there}`,
    { code: "model_not_found", param: "model" },
  );
}
