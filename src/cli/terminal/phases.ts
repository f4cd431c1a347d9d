/** Describes the phases of loading a model. */
import { basename } from "@std/path";
import type { LoadPhase } from "@inferd/client/protocol";
import { type Amounts, amounts, speed } from "./amounts.ts";
import type { Progress } from "./progress.ts";

/** Speed is shown only after this time. */
const SPEED_AFTER_MS = 1000;

/**
 * Show slow phases.
 *
 * @param progress The progress display.
 * @param now Monotonic clock in milliseconds.
 * @returns A function to call with each phase.
 */
export function showPhases(
  progress: Progress,
  now: () => number = () => performance.now(),
): (phase: LoadPhase) => void {
  let begun: { readonly url: string; readonly at: number; readonly first: Amounts } | undefined;
  return (phase) => {
    switch (phase.phase) {
      case "download": {
        const { source_url: url } = phase;
        const far: Amounts = { done: phase.downloaded_bytes, total: phase.total_bytes };
        if (begun?.url !== url) {
          progress.step(describePhase(phase));
          begun = { url, at: now(), first: far };
        }
        const ms = now() - begun.at;
        const fast = ms < SPEED_AFTER_MS ? "" : speed(begun.first, far, ms);
        progress.at(far.total === null ? undefined : far.done / far.total, [...amounts(far), fast]);
        break;
      }
      case "quarantine":
        progress.note(describePhase(phase));
        break;
      default:
        begun = undefined;
        progress.step(describePhase(phase));
    }
  };
}

/** Describe a phase in a few words. */
export function describePhase(phase: LoadPhase): string {
  switch (phase.phase) {
    case "download":
      return `Downloading ${phase.source_url}`;
    case "verify":
      return `Verifying ${phase.path}`;
    case "checking_local":
      return `Checking ${phase.path}`;
    case "quarantine":
      return `Its hash is wrong: moved to ${phase.quarantine_path}`;
    case "mmap":
      return `Loading ${basename(phase.path)}`;
    case "kv_cache":
      return `Preparing a context of ${phase.n_ctx} tokens`;
  }
}
