/** Describes the phases of loading a model, and what is wrong with its chat template. */
import { basename } from "node:path";
import type { TemplateError } from "@inferd/client";
import type { LoadPhase } from "@inferd/client/protocol";
import { type Amounts, amounts, percent, speed } from "./amounts.ts";
import type { Progress } from "./progress.ts";

/** Speed is shown only after this time. */
const SPEED_AFTER_MS = 1000;

export function showPhases(
  progress: Progress,
): (phase: LoadPhase) => void {
  let loading: string | undefined;
  let begun: { readonly url: string; readonly at: number; readonly first: Amounts } | undefined;
  return (phase) => {
    switch (phase.phase) {
      case "download": {
        const { source_url: url } = phase;
        const far: Amounts = { done: phase.downloaded_bytes, total: phase.total_bytes };
        if (begun?.url !== url) {
          progress.step(describePhase(phase));
          begun = { url, at: performance.now(), first: far };
        }
        const ms = performance.now() - begun.at;
        const fast = ms < SPEED_AFTER_MS ? "" : speed(begun.first, far, ms);
        progress.at(far.total === null ? undefined : far.done / far.total, [...amounts(far), fast]);
        break;
      }
      case "mmap":
        if (loading !== phase.path) progress.step(describePhase(phase));
        loading = phase.path;
        if (phase.progress !== undefined) progress.at(phase.progress, percent(phase.progress));
        break;
      case "quarantine":
        progress.note(describePhase(phase));
        break;
      default:
        begun = loading = undefined;
        progress.step(describePhase(phase));
    }
  };
}

/** Name a phase that there are few words for: `mmap`, or with its progress `loading weights, 43 %`. */
export function namePhase(phase: string, progress: number | undefined): string {
  return progress === undefined ? phase : `loading weights, ${percent(progress)}`;
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
      return `Loading weights of ${basename(phase.path)}`;
    case "kv_cache":
      return `Preparing a context of ${phase.n_ctx} tokens`;
  }
}

/** A chat template's problem and the fallback in one line, whatever its message contains. */
export function describeTemplateError({ message, line, format }: Readonly<TemplateError>): string {
  const wrong = message.replaceAll(/\s+/g, " ").trim();
  return `cannot be used (line ${line}: ${wrong}); conversations are written as ${format}`;
}
