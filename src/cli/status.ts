/** `inferd status`: prints the daemon's state once. */
import { delay } from "@std/async";
import type { Admin, AdminSnapshot, Capabilities, DaemonActivity, StatusEvent } from "@inferd/client";
import { SURFACES } from "@inferd/client/protocol";
import { bold, green, yellow } from "@std/fmt/colors";
import { type Command, parseCommand } from "./command.ts";
import { adminOf, target, unreachable } from "./reach.ts";
import { type Amounts, amounts, duration, size, speed } from "./terminal/amounts.ts";
import { describeRequest } from "./terminal/request_line.ts";
import { describeTemplateError, namePhase } from "./terminal/phases.ts";
import { adminFrame, requestFields } from "./wire.ts";
import { print } from "./terminal/output.ts";

const ACTIVITY_MS = 1000;
/** How long a download is observed to measure its speed. */
const SPEED_MS = 1000;

export const status: Command = {
  name: "status",
  usage: "status [--json] [FLAGS]",
  summary: "Show the daemon's state, backends, models, queue and running requests",
  settings: ["config", "adminAddr"],
  flags: [{ flag: "--json", help: "print state, capabilities and requests as one JSON object" }],
  exits: ["0 ready", "1 in any other state", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const where = adminOf(await target(flags, machine.env));
    const [seen, activity] = await Promise.all([
      where.snapshot(),
      // A daemon that cannot report activity can still report its state.
      where.activity({ timeoutMs: ACTIVITY_MS }).catch(() => undefined),
    ]).catch((error: unknown) => {
      throw unreachable(error);
    });
    if (flags.booleans.has("json")) {
      const capabilities = seen.capabilities.map((one) => adminFrame({ status: "capabilities", ...one }));
      const requests = activity === undefined ? {} : { requests: activity.requests.map(requestFields) };
      const log = seen.logStopped === undefined ? {} : { log_stopped: seen.logStopped };
      const reload = seen.reloadFailed === undefined ? {} : { reload_failed: seen.reloadFailed };
      print(JSON.stringify({ ...adminFrame(seen.status), capabilities, ...requests, ...log, ...reload }));
    } else {
      print(table(seen, activity?.requests ?? [], await progressOf(seen.status, where)));
    }
    return seen.status.status === "ready" ? 0 : 1;
  },
};

function table(seen: AdminSnapshot, requests: DaemonActivity["requests"], progress: string): string {
  const { status: state, capabilities: backends, logStopped, reloadFailed } = seen;
  const paint = state.status === "ready" ? green : yellow;
  const rows: [string, string][] = [["state", paint(state.status) + (progress === "" ? "" : ` (${progress})`)]];
  for (const backend of backends) rows.push(...rowsOf(backend, backends.length > 1 ? requests : []));
  const queue = backends[0]?.queue;
  if (queue !== undefined) rows.push(["queue", `${queue.active} active, ${queue.waiting} of ${queue.depth} waiting`]);
  for (const request of requests) rows.push([request.state, describeRequest(request)]);
  if (logStopped !== undefined) rows.push(["log", yellow(`stopped: ${logStopped.reason}`)]);
  if (reloadFailed !== undefined) rows.push(["config", yellow(`not reloaded: ${reloadFailed.reason}`)]);
  return rows.map(([name, value]) => `${bold(name.padEnd(8))} ${value}`).join("\n");
}

/** Rows about a backend; its activity is shown if there are several backends. */
function rowsOf(capabilities: Capabilities, requests: DaemonActivity["requests"]): [string, string][] {
  const { backend, model, draft, accelerator, contextTokens = 0, parallel, memoryBytes, templateError } = capabilities;
  const { state = "ready", breaker = "closed", phase, progress, uptimeMs } = capabilities;
  const states = [
    ...state === "ready" ? [] : [phase === undefined ? state : `${state}: ${namePhase(phase, progress)}`],
    ...breaker === "closed" ? [] : ["breaker open"],
  ];
  const where = states.length === 0 ? "" : ` (${yellow(states.join(", "))})`;
  const rows: [string, string][] = [[
    "backend",
    `${backend}${accelerator === "none" ? "" : ` on ${accelerator}`}: ${servicesOf(capabilities)}${where}`,
  ]];
  if (model !== undefined) rows.push(["model", model]);
  if (draft !== undefined) rows.push(["draft", draft]);
  if (templateError !== undefined) rows.push(["template", yellow(describeTemplateError(templateError))]);
  if (contextTokens > 0) rows.push(["context", `${contextTokens} tokens a request, ${parallel} requests together`]);
  if (memoryBytes !== undefined) rows.push(["memory", size(memoryBytes)]);
  if (uptimeMs !== undefined) rows.push(["uptime", duration(uptimeMs)]);
  const running = requests.filter((request) => request.state === "running" && request.backend === backend).length;
  if (running > 0) rows.push(["running", `${running} of ${parallel ?? "?"}`]);
  return rows;
}

/** The phase of loading and its progress; a download's speed is measured by two samples. */
async function progressOf(state: StatusEvent, where: Admin): Promise<string> {
  if (!("phase" in state)) return "";
  const from = amountsOf(state);
  if (from === undefined) return namePhase(state.phase, "progress" in state ? state.progress : undefined);
  const begun = performance.now();
  await delay(SPEED_MS);
  const later = await where.snapshot().then(({ status }) => status, () => undefined);
  const to = later === undefined ? undefined : amountsOf(later);
  const fast = to === undefined ? "" : speed(from, to, performance.now() - begun);
  return ["download", ...amounts(to ?? from), fast].filter((text) => text !== "").join(", ");
}

function amountsOf(state: StatusEvent): Amounts | undefined {
  if (!("phase" in state) || state.phase !== "download") return undefined;
  return { done: state.downloadedBytes, total: state.totalBytes };
}

/** Services of a backend. */
function servicesOf(capabilities: Capabilities): string {
  const { v2, tools, thinking, vision, audio, embed, rerank } = capabilities;
  const extras = Object.entries({ tools, thinking, images: vision, audio }).filter(([, has]) => v2 && has);
  return [
    // A model that only embeds or reranks has no v2; one that does neither generates text.
    ...SURFACES.infer.serves(capabilities) ? ["text", ...extras.map(([name]) => name)] : [],
    ...embed ? ["embeddings"] : [],
    ...rerank ? ["rerank"] : [],
  ].join(", ");
}
