/** Shows, on a terminal, how far downloads and loading are of a daemon, or of a model, that is waited for. */
import { delay } from "@std/async";
import { admin, type AdminEvent, type ConnectOptions } from "@inferd/client";
import type { LoadPhase } from "@inferd/client/protocol";
import { isScreen } from "./terminal/output.ts";
import { showPhases } from "./terminal/phases.ts";
import { stderrProgress } from "./terminal/progress.ts";
import { phaseOf, phaseOfBackend } from "./wire.ts";

interface Place {
  readonly admin: { readonly path?: string };
  /** A daemon behind TCP has no admin socket here. */
  readonly infer?: Pick<ConnectOptions, "tcp">;
}

/** How often a daemon that is not there yet is looked for. */
const RETRY_MS = 200;

/** Wait for a daemon or its answer, and show what is loaded meanwhile. */
export async function whileLoading<T>(where: Place, wait: () => Promise<T>): Promise<T> {
  if (!isScreen(Deno.stderr) || where.infer?.tcp !== undefined) return await wait();
  const progress = stderrProgress();
  const over = new AbortController();
  const showing = follow(where, showPhases(progress), over.signal);
  try {
    return await wait();
  } finally {
    over.abort();
    await showing;
    progress.clear();
  }
}

/** Iterate over an answer, and until it begins, show what is loaded. */
export async function* whileAnswering<T>(where: Place, answer: AsyncIterable<T>): AsyncGenerator<T> {
  const events = answer[Symbol.asyncIterator]();
  try {
    let next = await whileLoading(where, () => events.next());
    while (next.done !== true) {
      yield next.value;
      next = await events.next();
    }
  } finally {
    await events.return?.();
  }
}

async function follow(
  where: Place,
  show: ReturnType<typeof showPhases>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of admin(where.admin).watch({ signal })) {
        const phase = loadingIn(event);
        if (phase !== undefined && !signal.aborted) show(phase);
      }
    } catch {
      // Not there yet, or no longer waited for; the caller reports errors.
    }
    await delay(RETRY_MS, { signal }).catch(() => {});
  }
}

function loadingIn(event: AdminEvent): LoadPhase | undefined {
  if (event.status === "loading_model") return phaseOf(event);
  return event.status === "capabilities" && event.state === "loading" ? phaseOfBackend(event) : undefined;
}
