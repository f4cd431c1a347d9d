/**
 * The costly requests beside a stream, sent by a worker: what they cost the one who sends them would otherwise count as
 * gaps of the stream, which is read in the same process.
 */
import type { NeighbourJob } from "./load_job.ts";

/** The requests. */
export type CostlyRequests = Pick<NeighbourJob, "to" | "lines">;

/** What the worker is asked: first the requests, then to send one of them. */
export type CostlyOrder = CostlyRequests | { readonly index: number; readonly mostMs: number };

/** The worker, as its owner sees it. */
export class CostlySender implements Disposable {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /**
   * Start it, with the requests ready to be sent.
   *
   * @param requests The requests.
   * @returns The sender.
   */
  static async start({ to, lines }: CostlyRequests): Promise<CostlySender> {
    const url = new URL("./costly_worker.ts", import.meta.url);
    const sender = new CostlySender(new Worker(url, { type: "module" }));
    await sender.#order({ to, lines });
    return sender;
  }

  /**
   * Send one request on a connection of its own.
   *
   * @param index Which one.
   * @param mostMs It is cancelled after this time.
   * @returns How it ended.
   */
  ask(index: number, mostMs: number): Promise<string> {
    return this.#order({ index, mostMs });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }

  #order(order: CostlyOrder): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#worker.onmessage = ({ data }: MessageEvent<string>): void => resolve(data);
    this.#worker.onerror = (event): void => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    this.#worker.postMessage(order);
    return promise;
  }
}
