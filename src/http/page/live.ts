/** The page's live stream: admin events as they arrive, and the daemon's activity once a second. */
import { delay } from "@std/async";
import type { AdminEvent, Capabilities, DaemonActivity } from "@inferd/client";
import type { DaemonLink } from "../daemon_link.ts";
import { merged } from "../event_stream.ts";

/** Polling interval for activity, in milliseconds. */
const LOOK_MS = 1000;
/** Delay before reconnecting to the daemon, in milliseconds. */
const RECONNECT_MS = 500;

/** A line of the stream. */
type Line =
  | { readonly type: "event"; readonly event: AdminEvent }
  /** The daemon does not run. */
  | { readonly type: "unreachable" }
  /**
   * Sent every second, so that a broken stream is noticed; `null` if the daemon does not run. The backends are all that
   * there are, in configured order: events do not tell.
   */
  | {
    readonly type: "activity";
    readonly activity: DaemonActivity | null;
    readonly backends: readonly Capabilities[];
  };

type Source = Pick<DaemonLink, "admin" | "capabilities">;

/** Stream the lines as JSON until the signal fires. */
export async function* live(link: Source, signal: AbortSignal): AsyncGenerator<string> {
  for await (const [, line] of merged<Line>([events(link, signal), activities(link, signal)])) {
    yield `${JSON.stringify(line)}\n`;
  }
}

async function* events({ admin }: Source, signal: AbortSignal): AsyncGenerator<Line> {
  let isThere = true;
  while (!signal.aborted) {
    try {
      for await (const event of admin.watch({ signal })) {
        isThere = true;
        yield { type: "event", event };
      }
    } catch {
      // The daemon does not run, or went away.
    }
    if (signal.aborted) return;
    if (isThere) yield { type: "unreachable" };
    isThere = false;
    await pause(RECONNECT_MS, signal);
  }
}

async function* activities(link: Source, signal: AbortSignal): AsyncGenerator<Line> {
  while (!signal.aborted) {
    const activity = await link.admin.activity({ signal }).catch(() => null);
    const backends = activity === null ? [] : await link.capabilities().catch(() => []);
    if (signal.aborted) return;
    yield { type: "activity", activity, backends };
    await pause(LOOK_MS, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, { signal }).catch(() => {});
}
