/** `inferd watch`: follows what the daemon is doing. */
import type { AdminEvent, Capabilities, RequestEvent } from "@inferd/client";
import type { LoadPhase } from "@inferd/client/protocol";
import { bold, dim, green, red, yellow } from "@std/fmt/colors";
import { type Command, parseCommand } from "./command.ts";
import { amounts, percent, size } from "./terminal/amounts.ts";
import { describePhase, describeTemplateError, namePhase, showPhases } from "./terminal/phases.ts";
import { type Progress, stderrProgress } from "./terminal/progress.ts";
import { describeRequest, speedOf } from "./terminal/request_line.ts";
import { adminOf, target, unreachable } from "./reach.ts";
import { adminFrame, phaseOf } from "./wire.ts";
import { complain, isScreen, print } from "./terminal/output.ts";

export const watch: Command = {
  name: "watch",
  usage: "watch [--json] [FLAGS]",
  summary: "Follow what the daemon is doing, and its requests, until Ctrl-C or until it ends",
  settings: ["config", "adminAddr"],
  flags: [{ flag: "--json", help: "print every event as a frame of the admin socket, one per line" }],
  exits: ["0 on Ctrl-C, or when the daemon ended", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const progress = stderrProgress();
    const show = flags.booleans.has("json")
      ? (event: AdminEvent): void => print(JSON.stringify(adminFrame(event)))
      : human(progress);
    const stop = new AbortController();
    const onInterrupt = (): void => stop.abort();
    Deno.addSignalListener("SIGINT", onInterrupt);
    try {
      const events = adminOf(await target(flags, machine.env)).watch({ signal: stop.signal, requests: true });
      for await (const event of events) show(event);
      complain("The daemon has ended");
    } catch (error) {
      if (!stop.signal.aborted) throw unreachable(error);
    } finally {
      Deno.removeSignalListener("SIGINT", onInterrupt);
    }
    return 0;
  },
};

/** Interval between lines about a download, in milliseconds. */
const EVERY_MS = 5000;
/** A request that runs sooner, in milliseconds, has not waited. */
const WAITS_MS = 100;

/** A line per event; on a terminal a bar for slow phases. */
function human(progress: Progress): (event: AdminEvent) => void {
  const hasBar = isScreen(Deno.stderr);
  const showPhase = showPhases(progress);
  let told = -Infinity;
  /** Requests that have arrived and are not reported as waiting yet. */
  const coming = new Map<number, ReturnType<typeof setTimeout>>();
  const say = (event: AdminEvent): void => print(`${dim(new Date().toTimeString().slice(0, 8))} ${describe(event)}`);
  return (event) => {
    if (event.status === "request") {
      const { number } = event.request;
      clearTimeout(coming.get(number));
      coming.delete(number);
      if (event.change === "waiting") return void coming.set(number, setTimeout(() => say(event), WAITS_MS));
    }
    const isLoading = "phase" in event && event.status === "loading_model";
    if (hasBar && isLoading) return showPhase(phaseOf(event));
    if (hasBar) progress.clear();
    if (isUnderWay(event)) {
      if (performance.now() - told < EVERY_MS) return;
      told = performance.now();
    }
    say(event);
  };
}

/** Progress of the same phase, of which a few lines are enough. */
function isUnderWay(event: AdminEvent): boolean {
  if (!("phase" in event)) return false;
  if ("downloadedBytes" in event) return event.downloadedBytes !== event.totalBytes;
  return "progress" in event;
}

function describe(event: AdminEvent): string {
  switch (event.status) {
    case "starting":
    case "draining":
      return bold(event.status);
    case "ready":
      return bold(green(event.status));
    case "loading_model":
    case "restarting":
      return `${bold(yellow(event.status))} ${describeLoading(phaseOf(event))}`;
    case "capabilities":
      return `${bold("backend")} ${describeBackend(event)}`;
    case "request":
      return describeChange(event);
    case "log_stopped":
    case "reload_failed":
      return `${bold(red(event.status))} ${event.reason}`;
    case "reloaded": {
      const later = event.needsRestart.length === 0 ? "" : `, a restart changes ${event.needsRestart.join(", ")}`;
      return `${bold(event.status)}${later}`;
    }
  }
}

function describeLoading(phase: LoadPhase): string {
  const far = phase.phase === "download"
    ? amounts({ done: phase.downloaded_bytes, total: phase.total_bytes })
    : phase.phase === "mmap" && phase.progress !== undefined
    ? [percent(phase.progress)]
    : [];
  return [...far, describePhase(phase)].join("  ");
}

function describeBackend(capabilities: Capabilities): string {
  const { backend, model, state = "ready", breaker, phase, progress, memoryBytes, templateError, queue } = capabilities;
  return [
    `${backend}${model === undefined ? "" : ` (${model})`}: ${state}`,
    ...phase === undefined ? [] : [namePhase(phase, progress)],
    ...breaker === "open" ? [yellow("breaker open")] : [],
    ...memoryBytes === undefined ? [] : [size(memoryBytes)],
    ...queue === undefined ? [] : [`${queue.active} active, ${queue.waiting} of ${queue.depth} waiting`],
    ...templateError === undefined ? [] : [yellow(`template ${describeTemplateError(templateError)}`)],
  ].join(", ");
}

const PAINT = { waiting: dim, running: bold, done: green, failed: red } as const;

function describeChange({ change, request, promptTokens, completionTokens }: RequestEvent): string {
  const { firstTokenMs, ageMs } = request;
  if (promptTokens === undefined || completionTokens === undefined) {
    return `${PAINT[change](change)} ${describeRequest(request)}`;
  }
  // Final token counts supersede those of pieces.
  const { firstTokenMs: _, ...rest } = request;
  return [
    `${PAINT[change](change)} ${describeRequest({ ...rest, pieces: 0 })}`,
    `${promptTokens} tokens read, ${completionTokens} written`,
    ...firstTokenMs === undefined ? [] : speedOf(completionTokens, ageMs - firstTokenMs),
  ].join(", ");
}
