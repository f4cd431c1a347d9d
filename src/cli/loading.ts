/** What is shown of a daemon that is waited for: on a terminal, how far its downloads and its loading are. */
import { delay } from "@std/async";
import { admin } from "@inferd/client";
import { isScreen } from "./terminal/output.ts";
import { showPhases } from "./terminal/phases.ts";
import { stderrProgress } from "./terminal/progress.ts";
import { phaseOf } from "./wire.ts";

interface Place {
  readonly admin: { readonly path?: string };
}

/** How often a daemon that is not there yet is looked for. */
const RETRY_MS = 200;

/**
 * Wait for a daemon, and show what it is doing meanwhile.
 *
 * @param where Where it is, or will be.
 */
export async function whileLoading<T>(where: Place, wait: () => Promise<T>): Promise<T> {
  if (!isScreen(Deno.stderr)) return await wait();
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

async function follow(
  where: Place,
  show: ReturnType<typeof showPhases>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of admin(where.admin).watch({ signal })) {
        if ("phase" in event && event.status === "loading_model") show(phaseOf(event));
      }
    } catch {
      // Not there yet, or not waited for any more; whoever waits says what is wrong.
    }
    await delay(RETRY_MS, { signal }).catch(() => {});
  }
}
