/** What the page follows: the events of the admin stream as they come, and once a second what the daemon works on. */
import { delay } from "@std/async";
import type { AdminEvent, DaemonActivity } from "@inferd/client";
import type { DaemonLink } from "../daemon_link.ts";
import { merged } from "../event_stream.ts";

/** How often the daemon is asked what it works on, in milliseconds. */
const LOOK_MS = 1000;
/** How long to wait before the daemon is looked for again, in milliseconds. */
const RECONNECT_MS = 500;

/** One line of the stream. */
type Line =
  | { readonly type: "event"; readonly event: AdminEvent }
  /** There is no daemon. */
  | { readonly type: "unreachable" }
  /** Sent once a second, `null` where there is no daemon, so that a stream that is cut shows. */
  | { readonly type: "activity"; readonly activity: DaemonActivity | null };

/**
 * The lines, as JSON, until the signal ends them.
 *
 * @param link Knows the daemon.
 * @param signal Ends them.
 */
export async function* live(link: Pick<DaemonLink, "admin">, signal: AbortSignal): AsyncGenerator<string> {
  for await (const [, line] of merged<Line>([events(link, signal), activities(link, signal)])) {
    yield `${JSON.stringify(line)}\n`;
  }
}

async function* events({ admin }: Pick<DaemonLink, "admin">, signal: AbortSignal): AsyncGenerator<Line> {
  let isThere = true;
  while (!signal.aborted) {
    try {
      for await (const event of admin.watch({ signal })) {
        isThere = true;
        yield { type: "event", event };
      }
    } catch {
      // There is none, or it went away.
    }
    if (signal.aborted) return;
    if (isThere) yield { type: "unreachable" };
    isThere = false;
    await pause(RECONNECT_MS, signal);
  }
}

async function* activities({ admin }: Pick<DaemonLink, "admin">, signal: AbortSignal): AsyncGenerator<Line> {
  while (!signal.aborted) {
    const activity = await admin.activity({ signal }).catch(() => null);
    if (signal.aborted) return;
    yield { type: "activity", activity };
    await pause(LOOK_MS, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, { signal }).catch(() => {});
}
