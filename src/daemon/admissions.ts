/**
 * The queues of the daemon: generation shares one, whatever the surface, because it shares the models. A remote backend
 * has a queue of its own: its requests cost this machine next to nothing, and its pace is not that of the models here.
 */
import type { QueueStatus } from "@inferd/client/protocol";
import type { DaemonOptions } from "../config/options.ts";
import type { Service } from "../inference/backend.ts";
import { Admission } from "../pipeline/admission.ts";

/** Places for requests. */
export class Admissions {
  readonly #generation: Admission;
  readonly #embed: Admission;
  readonly #rerank: Admission;
  readonly #remotes: ReadonlyMap<string, Admission>;
  readonly #depth: number;

  constructor({ parallel, queueDepth, backends }: Pick<DaemonOptions, "parallel" | "queueDepth" | "backends">) {
    const places = { active: parallel, depth: queueDepth };
    this.#depth = queueDepth;
    this.#generation = new Admission(places);
    this.#embed = new Admission(places);
    this.#rerank = new Admission(places);
    const remotes = backends.filter(({ kind }) => kind === "openai-compat");
    this.#remotes = new Map(remotes.map(({ name }) => [name, new Admission(places)]));
  }

  /**
   * Where requests of a service wait.
   *
   * @param backend Who is going to serve the request; undefined: not known.
   */
  of(service: Service, backend?: string): Admission {
    const remote = backend === undefined ? undefined : this.#remotes.get(backend);
    if (remote !== undefined) return remote;
    return service === "embed" ? this.#embed : service === "rerank" ? this.#rerank : this.#generation;
  }

  /** All queues together; `depth` is that of each. */
  status(): QueueStatus {
    const all = [this.#generation, this.#embed, this.#rerank, ...this.#remotes.values()];
    const statuses = all.map((admission) => admission.status());
    return {
      active: statuses.reduce((sum, { active }) => sum + active, 0),
      waiting: statuses.reduce((sum, { waiting }) => sum + waiting, 0),
      depth: this.#depth,
    };
  }
}
