/**
 * The bridge's connection to the daemon: one client per surface, connected on first use, and the backends' state from
 * the admin stream. Follows a daemon that restarts; never waits for one.
 */
import {
  type Admin,
  admin,
  type AdminSnapshot,
  type Capabilities,
  type Client,
  connect,
  type ConnectOptions,
  type SurfaceName,
} from "@inferd/client";
import { SURFACES } from "@inferd/client/protocol";
import { delay } from "@std/async";
import { ApiError } from "./api_error.ts";

/** Sockets of the daemon. */
export interface DaemonPlace {
  readonly surfaces: Readonly<Record<SurfaceName, ConnectOptions>>;
  /** Path of the admin socket; default: from the environment. */
  readonly admin: { readonly path?: string };
}

export type ModelService = keyof typeof ASKED_ON;

/** A model that requests can name. */
export interface ServedModel {
  readonly name: string;
  /** Backends that serve it, in configured order; at least one. */
  readonly backends: readonly [Capabilities, ...Capabilities[]];
}

/** Delay before reconnecting to the admin stream, in milliseconds. */
const RECONNECT_MS = 500;

/** How old the number of running requests may be, in milliseconds. */
const RUNNING_MS = 200;

/** The surface of each service. */
const ASKED_ON = { generate: "v2", embed: "embed", rerank: "rerank" } as const;

export class DaemonLink implements AsyncDisposable {
  /** The command that downloads a model on this machine. */
  readonly pullCommand: string;
  readonly #place: DaemonPlace;
  readonly #aliases: ReadonlyMap<string, string>;
  readonly #clients = new Map<SurfaceName, Promise<Client>>();
  readonly #closing = new AbortController();
  readonly #watching: Promise<void>;
  /** By backend in configured order, from the admin stream; empty while disconnected. */
  readonly #capabilities = new Map<string, Capabilities>();
  #state: string | undefined;
  #restarts = 0;
  #running = 0;
  #askedAt = -Infinity;

  /** @param aliases Model aliases for clients, mapped to the daemon's names. */
  constructor(place: DaemonPlace, aliases: Readonly<Record<string, string>> = {}, pullCommand = "inferd pull") {
    this.pullCommand = pullCommand;
    this.#place = place;
    this.#aliases = new Map(Object.entries(aliases));
    this.#watching = this.#watch();
  }

  /** The daemon's latest state on the admin stream; `undefined` while disconnected. */
  get state(): string | undefined {
    return this.#state;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** The daemon's admin socket; each call opens a connection. */
  get admin(): Admin {
    return admin(this.#place.admin);
  }

  /** Model aliases for clients, mapped to the daemon's names. */
  get aliases(): ReadonlyMap<string, string> {
    return this.#aliases;
  }

  /** How many requests the daemon had when it was last asked; asks again, without waiting, if that was a while ago. */
  get running(): number {
    const now = performance.now();
    if (now - this.#askedAt >= RUNNING_MS) {
      this.#askedAt = now;
      this.admin.activity({ signal: this.#closing.signal }).then(
        ({ requests }) => this.#running = requests.length,
        () => this.#running = 0,
      );
    }
    return this.#running;
  }

  /** @throws {ConnectError} If nothing listens there. */
  client(surface: SurfaceName): Promise<Client> {
    let client = this.#clients.get(surface);
    if (client === undefined) {
      client = connect({
        ...this.#place.surfaces[surface],
        timeoutMs: 0,
        // Clients of the bridge choose whether to retry; admission is up to the daemon.
        maxRetries: 0,
        maxConcurrent: Infinity,
      });
      this.#clients.set(surface, client);
      client.catch(() => this.#clients.delete(surface));
    }
    return client;
  }

  /** @throws {ConnectError | TimeoutError} If the daemon does not run. */
  snapshot(): Promise<AdminSnapshot> {
    return this.admin.snapshot({ signal: this.#closing.signal });
  }

  /** The backends' capabilities, in configured order. */
  async capabilities(): Promise<readonly Capabilities[]> {
    if (this.#state !== undefined) return [...this.#capabilities.values()];
    return (await this.snapshot()).capabilities;
  }

  /** @throws {ConnectError | TimeoutError} If the daemon does not run. */
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
   * Resolve the model a request names.
   *
   * @param asked The name of a model, of a backend, or an alias; `undefined`: the first in configured order.
   * @param service The service it must support.
   * @throws {ApiError} 404 if no suitable backend has that name.
   * @throws {ConnectError | TimeoutError} If the daemon does not run.
   */
  async model(asked: string | undefined, service: ModelService): Promise<ServedModel> {
    const all = await this.capabilities();
    const able = all.filter(SURFACES[ASKED_ON[service]].serves);
    const wanted = asked === undefined ? undefined : this.#nameOf(asked, all);
    const [first, ...others] = wanted === undefined ? able.slice(0, 1) : able.filter((one) => isCalled(one, wanted));
    if (first !== undefined) return { name: wanted ?? first.model ?? first.backend, backends: [first, ...others] };
    throw notServed(asked, service, {
      names: namesOf(able, this.#aliases),
      isOther: wanted !== undefined && all.some((one) => isCalled(one, wanted)),
    });
  }

  /** The daemon's name for what a client says. Ollama's clients append `:latest` to a name without a tag. */
  #nameOf(asked: string, all: readonly Capabilities[]): string {
    const names = [asked, asked.replace(/:latest$/, "")].map((name) => this.#aliases.get(name) ?? name);
    return names.find((name) => all.some((one) => isCalled(one, name))) ?? asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const clients = await Promise.allSettled(this.#clients.values());
    await Promise.all(clients.map(async (client) => {
      if (client.status === "fulfilled") await client.value.close();
    }));
    await this.#watching;
  }

  /** Ask for all backends: events tell neither their order nor which are gone. */
  async #list(): Promise<void> {
    const { capabilities } = await this.snapshot();
    this.#capabilities.clear();
    for (const one of capabilities) this.#capabilities.set(one.backend, one);
  }

  /** Follow the admin stream, reconnecting whenever it ends, until disposed of. */
  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        for await (const event of this.admin.watch({ signal })) {
          if (event.status === "reloaded") {
            await this.#list();
          } else if (event.status === "capabilities") {
            const isNew = !this.#capabilities.has(event.backend);
            this.#capabilities.set(event.backend, event);
            if (isNew) await this.#list();
          } else if (event.status !== "log_stopped" && event.status !== "reload_failed") {
            if (event.status === "restarting" && this.#state !== "restarting") this.#restarts++;
            this.#state = event.status;
          }
        }
      } catch {
        // No daemon, or it went away; a request will fail by itself with a proper error.
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

/** Names that requests can use: models, and aliases of them. */
function namesOf(able: readonly Capabilities[], aliases: ReadonlyMap<string, string>): ReadonlySet<string> {
  const leading = [...aliases].filter(([, name]) => able.some((one) => isCalled(one, name)));
  return new Set([...able.map(({ backend, model }) => model ?? backend), ...leading.map(([alias]) => alias)]);
}

/** `isOther`: the model exists, for another service. */
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
