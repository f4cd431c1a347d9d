/** The queues of the daemon: generation shares one, whatever the surface, because it shares the models. */
import type { QueueStatus } from "@inferd/client/protocol";
import type { DaemonOptions } from "../config/options.ts";
import type { Service } from "../inference/backend.ts";
import { Admission } from "../pipeline/admission.ts";

/** Places for requests. */
export class Admissions {
  readonly #generation: Admission;
  readonly #embed: Admission;
  readonly #rerank: Admission;

  constructor({ parallel, queueDepth }: Pick<DaemonOptions, "parallel" | "queueDepth">) {
    const places = { active: parallel, depth: queueDepth };
    this.#generation = new Admission(places);
    this.#embed = new Admission(places);
    this.#rerank = new Admission(places);
  }

  /** Where requests of a service wait. */
  of(service: Service): Admission {
    return service === "embed" ? this.#embed : service === "rerank" ? this.#rerank : this.#generation;
  }

  /** All queues together; `depth` is that of each. */
  status(): QueueStatus {
    const generation = this.#generation.status();
    const embed = this.#embed.status();
    const rerank = this.#rerank.status();
    return {
      ...generation,
      active: generation.active + embed.active + rerank.active,
      waiting: generation.waiting + embed.waiting + rerank.waiting,
    };
  }
}
