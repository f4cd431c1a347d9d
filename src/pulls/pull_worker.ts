/** The bridge's side of the worker that downloads. */
import { ApiError, type ErrorStatus } from "../http/api_error.ts";
import type { ListedModel, ModelStore, PullLine } from "../http/model_store.ts";
import type { Failure, Order, Report, Setup } from "./messages.ts";
import { SharedPulls } from "./shared_pulls.ts";

/** How to start the worker. */
export interface PullWorkerOptions extends Setup {
  readonly url: URL;
  /** Its permissions; default: those of this thread. */
  readonly permissions?: Deno.PermissionOptionsObject | undefined;
  /** The command that downloads a model on this machine. */
  readonly pullCommand: string;
}

/** Statuses of failures; of all others 503. */
const STATUSES: Readonly<Record<string, ErrorStatus>> = {
  bad_name: 400,
  bad_reference: 400,
  taken: 400,
  not_found: 404,
};

interface Waiting {
  readonly tell: (line: PullLine) => void;
  readonly resolve: (list: readonly ListedModel[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Start the worker. If it fails later, so does this process, and whoever supervises it starts it again.
 *
 * @param options What it works with.
 * @returns The store, once the worker has its permissions.
 */
export async function startPullWorker(options: PullWorkerOptions): Promise<ModelStore> {
  const { url, permissions, pullCommand, ...setup } = options;
  const worker = new Worker(url, {
    type: "module",
    ...permissions === undefined ? {} : { deno: { permissions } },
  });
  const { promise: ready, resolve } = Promise.withResolvers<unknown>();
  worker.addEventListener("message", resolve, { once: true });
  worker.postMessage(setup);
  await ready;

  const waiting = new Map<number, Waiting>();
  const closed = new AbortController();
  let id = 0;
  worker.addEventListener("message", ({ data }: MessageEvent<Report>) => {
    const one = waiting.get(data.id);
    if ("line" in data) return one?.tell(data.line);
    waiting.delete(data.id);
    if ("done" in data) one?.resolve(data.done);
    else one?.reject(errorOf(data.failure, pullCommand));
  });
  const order = (
    what: { readonly word: "list" } | { readonly word: "pull"; readonly reference: string },
    tell: (line: PullLine) => void = () => {},
    signal?: AbortSignal,
  ): Promise<readonly ListedModel[]> => {
    closed.signal.throwIfAborted();
    const own = id++;
    const { promise, resolve, reject } = Promise.withResolvers<readonly ListedModel[]>();
    waiting.set(own, { tell, resolve, reject });
    worker.postMessage({ id: own, ...what } satisfies Order);
    signal?.addEventListener("abort", () => {
      worker.postMessage({ id: own, word: "cancel" } satisfies Order);
    }, { once: true });
    return promise;
  };
  const pulls = new SharedPulls(async (reference, tell, signal) => {
    await order({ word: "pull", reference }, tell, signal);
  });
  return {
    pull: (reference, signal) => pulls.follow(reference, signal),
    list: () => order({ word: "list" }),
    [Symbol.dispose]: () => {
      closed.abort(
        new ApiError(503, "The server is shutting down; the next download resumes", { code: "shutting_down" }),
      );
      pulls[Symbol.dispose]();
      worker.terminate();
      for (const { reject } of waiting.values()) reject(closed.signal.reason);
      waiting.clear();
    },
  };
}

function errorOf({ code, message, status }: Failure, pullCommand: string): Error {
  // Not told to clients.
  if (code === "internal") return new Error(message);
  const own = status === 404 ? 404 : STATUSES[code] ?? 503;
  return new ApiError(own, code === "taken" ? `${message} with "${pullCommand}"` : message, {
    code: own === 404 ? "model_not_found" : code,
  });
}
