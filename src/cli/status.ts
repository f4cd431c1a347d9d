/** `inferd status`: one look at the daemon. */
import type { Capabilities, StatusEvent } from "@inferd/client";
import { bold, green, yellow } from "@std/fmt/colors";
import { parseFlags } from "../config/flags.ts";
import type { Command } from "./command.ts";
import { adminOf, target, unreachable } from "./reach.ts";
import { describeTemplateError } from "./template_error.ts";
import { adminFrame } from "./wire.ts";

export const status: Command = {
  name: "status",
  usage: "status [--json] [FLAGS]",
  summary: "One look at the daemon: state, backend, model, queue",
  settings: ["config", "adminAddr"],
  flags: [{ flag: "--json", help: "the state and the capabilities as one JSON object" }],
  exits: ["0 ready", "1 in any other state", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseFlags(args, machine.env, { settings: this.settings, booleans: ["json"], words: 0 });
    const where = adminOf(await target(flags, machine.env));
    const seen = await where.snapshot().catch((error: unknown) => {
      throw unreachable(error);
    });
    if (flags.booleans.has("json")) {
      const capabilities = seen.capabilities.map((one) => adminFrame({ status: "capabilities", ...one }));
      console.log(JSON.stringify({ ...adminFrame(seen.status), capabilities }));
    } else {
      console.log(table(seen.status, seen.capabilities));
    }
    return seen.status.status === "ready" ? 0 : 1;
  },
};

function table(state: StatusEvent, backends: readonly Capabilities[]): string {
  const paint = state.status === "ready" ? green : yellow;
  const phase = "phase" in state ? ` (${state.phase})` : "";
  const rows: [string, string][] = [["state", paint(state.status) + phase]];
  for (const capabilities of backends) {
    const { backend, model, accelerator, contextTokens, parallel, templateError } = capabilities;
    rows.push(["backend", `${backend} on ${accelerator}: ${servicesOf(capabilities)}`]);
    if (model !== undefined) rows.push(["model", model]);
    if (templateError !== undefined) rows.push(["template", yellow(describeTemplateError(templateError))]);
    if (contextTokens !== undefined && contextTokens > 0) {
      rows.push(["context", `${contextTokens} tokens a request, ${parallel} requests together`]);
    }
  }
  const queue = backends[0]?.queue;
  if (queue !== undefined) rows.push(["queue", `${queue.active} active, ${queue.waiting} of ${queue.depth} waiting`]);
  return rows.map(([name, value]) => `${bold(name.padEnd(8))} ${value}`).join("\n");
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
