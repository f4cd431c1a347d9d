/** `inferd status`: one look at the daemon. */
import type { AdminSnapshot, Capabilities, StatusEvent } from "@inferd/client";
import { format as formatBytes } from "@std/fmt/bytes";
import { bold, green, yellow } from "@std/fmt/colors";
import { type Command, parseCommand } from "./command.ts";
import { adminOf, target, unreachable } from "./reach.ts";
import { describeTemplateError } from "./terminal/template_error.ts";
import { adminFrame } from "./wire.ts";
import { print } from "./terminal/output.ts";

export const status: Command = {
  name: "status",
  usage: "status [--json] [FLAGS]",
  summary: "Show the daemon's state, backends, models and queue",
  settings: ["config", "adminAddr"],
  flags: [{ flag: "--json", help: "print state and capabilities as one JSON object" }],
  exits: ["0 ready", "1 in any other state", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const where = adminOf(await target(flags, machine.env));
    const seen = await where.snapshot().catch((error: unknown) => {
      throw unreachable(error);
    });
    if (flags.booleans.has("json")) {
      const capabilities = seen.capabilities.map((one) => adminFrame({ status: "capabilities", ...one }));
      const log = seen.logStopped === undefined ? {} : { log_stopped: seen.logStopped };
      const reload = seen.reloadFailed === undefined ? {} : { reload_failed: seen.reloadFailed };
      print(JSON.stringify({ ...adminFrame(seen.status), capabilities, ...log, ...reload }));
    } else {
      print(table(seen));
    }
    return seen.status.status === "ready" ? 0 : 1;
  },
};

function table({ status: state, capabilities: backends, logStopped, reloadFailed }: AdminSnapshot): string {
  const paint = state.status === "ready" ? green : yellow;
  const phase = "phase" in state ? ` (${phaseOf(state)})` : "";
  const rows: [string, string][] = [["state", paint(state.status) + phase]];
  for (const capabilities of backends) {
    const { backend, model, draft, accelerator, contextTokens, parallel, templateError, state = "ready" } =
      capabilities;
    const where = state === "ready" ? "" : ` (${yellow(state)})`;
    rows.push(["backend", `${backend} on ${accelerator}: ${servicesOf(capabilities)}${where}`]);
    if (model !== undefined) rows.push(["model", model]);
    if (draft !== undefined) rows.push(["draft", draft]);
    if (templateError !== undefined) rows.push(["template", yellow(describeTemplateError(templateError))]);
    if (contextTokens !== undefined && contextTokens > 0) {
      rows.push(["context", `${contextTokens} tokens a request, ${parallel} requests together`]);
    }
  }
  const queue = backends[0]?.queue;
  if (queue !== undefined) rows.push(["queue", `${queue.active} active, ${queue.waiting} of ${queue.depth} waiting`]);
  if (logStopped !== undefined) rows.push(["log", yellow(`stopped: ${logStopped.reason}`)]);
  if (reloadFailed !== undefined) rows.push(["config", yellow(`not reloaded: ${reloadFailed.reason}`)]);
  return rows.map(([name, value]) => `${bold(name.padEnd(8))} ${value}`).join("\n");
}

/** What is done, and how far a download is. */
function phaseOf(state: Extract<StatusEvent, { phase: unknown }>): string {
  if (state.status !== "loading_model" || state.phase !== "download" || !state.totalBytes) return state.phase;
  return `download, ${Math.floor(state.downloadedBytes / state.totalBytes * 100)} % of ${
    formatBytes(state.totalBytes)
  }`;
}

/** What a backend can be asked for. */
function servicesOf({ v2, tools, thinking, vision, audio, embed, rerank }: Capabilities): string {
  const extras = Object.entries({ tools, thinking, images: vision, audio }).filter(([, has]) => v2 && has);
  return [
    // A model that only makes vectors or scores speaks no v2; one that does neither answers with text.
    ...v2 || !(embed || rerank) ? ["text", ...extras.map(([name]) => name)] : [],
    ...embed ? ["embeddings"] : [],
    ...rerank ? ["rerank"] : [],
  ].join(", ");
}
