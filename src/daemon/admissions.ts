/**
 * The daemon's queues. All generation surfaces share one, because they share the models. A remote backend has its own
 * queue: its requests cost this machine little, and its speed is independent of local models.
 */
import type { QueueStatus } from "@inferd/client/protocol";
import type { DaemonOptions } from "../config/options.ts";
import type { Service } from "../inference/backend.ts";
import { Admission } from "../pipeline/admission.ts";

/** Options that determine the queues. */
type AdmissionOptions = Pick<DaemonOptions, "parallel" | "queueDepth" | "backends">;

export class Admissions {
  readonly #generation: Admission;
  readonly #embed: Admission;
  readonly #rerank: Admission;
  #remotes: ReadonlyMap<string, Admission>;
  #depth: number;

  constructor({ parallel, queueDepth, backends }: AdmissionOptions) {
    const places = { active: parallel, depth: queueDepth };
    this.#depth = queueDepth;
    this.#generation = new Admission(places);
    this.#embed = new Admission(places);
    this.#rerank = new Admission(places);
    const remotes = backends.filter(({ kind }) => kind === "openai-compat");
    this.#remotes = new Map(remotes.map(({ name }) => [name, new Admission(places)]));
  }

  /** Change limits and remote backends. */
  reconfigure({ parallel, queueDepth, backends }: AdmissionOptions): void {
    const places = { active: parallel, depth: queueDepth };
    this.#depth = queueDepth;
    for (const admission of this.#all()) admission.resize(places);
    const remotes = backends.filter(({ kind }) => kind === "openai-compat");
    this.#remotes = new Map(remotes.map(({ name }) => [name, this.#remotes.get(name) ?? new Admission(places)]));
  }

  /** @param backend The backend that will serve the request, if known. */
  of(service: Service, backend?: string): Admission {
    const remote = backend === undefined ? undefined : this.#remotes.get(backend);
    if (remote !== undefined) return remote;
    return service === "embed" ? this.#embed : service === "rerank" ? this.#rerank : this.#generation;
  }

  /** Status of all queues combined; `depth` is per queue. */
  status(): QueueStatus {
    const statuses = this.#all().map((admission) => admission.status());
    return {
      active: statuses.reduce((sum, { active }) => sum + active, 0),
      waiting: statuses.reduce((sum, { waiting }) => sum + waiting, 0),
      depth: this.#depth,
    };
  }

  #all(): Admission[] {
    return [this.#generation, this.#embed, this.#rerank, ...this.#remotes.values()];
  }
}
