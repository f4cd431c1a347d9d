/** `inferd ps`: lists the daemon's models, their memory, and running requests. */
import type { TotalsOfBackend } from "@inferd/client";
import { bold, dim } from "@std/fmt/colors";
import { type Command, parseCommand } from "./command.ts";
import { adminOf, target, unreachable } from "./reach.ts";
import { duration, size } from "./terminal/amounts.ts";
import { aligned, columnsOf, print } from "./terminal/output.ts";

export const ps: Command = {
  name: "ps",
  usage: "ps [--json] [FLAGS]",
  summary: "List the daemon's models: state, memory, context, slots, speed and uptime",
  settings: ["config", "adminAddr"],
  flags: [{ flag: "--json", help: "print the list as one JSON array" }],
  exits: ["0 done", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const where = adminOf(await target(flags, machine.env));
    const [{ capabilities }, { requests, backends: totals, uptimeMs }] = await Promise.all([
      where.snapshot(),
      where.activity(),
    ]).catch(
      (error: unknown) => {
        throw unreachable(error);
      },
    );
    const backends = capabilities.map((one) => ({
      backend: one.backend,
      model: one.model ?? "-",
      state: one.state ?? "ready",
      accelerator: one.accelerator,
      memory_bytes: one.memoryBytes ?? null,
      context_tokens: one.contextTokens ?? null,
      slots: one.parallel ?? null,
      running: requests.filter(({ state, backend }) => state === "running" && backend === one.backend).length,
      tokens_per_second: speedOf(totals.find(({ backend }) => backend === one.backend)),
      uptime_seconds: one.uptimeMs === undefined ? null : Math.round(one.uptimeMs / 1000),
    }));
    if (flags.booleans.has("json")) {
      print(JSON.stringify(backends));
      return 0;
    }
    const since = capabilities.map(({ uptimeMs }) => uptimeMs === undefined ? "-" : duration(uptimeMs));
    const rows = backends.map((one, index) => [
      one.model,
      one.backend,
      one.state,
      one.accelerator === "none" ? "-" : one.accelerator,
      one.memory_bytes === null ? "-" : size(one.memory_bytes),
      String(one.context_tokens ?? "-"),
      `${one.running} of ${one.slots ?? "-"}`,
      one.tokens_per_second === null ? "-" : String(one.tokens_per_second),
      since[index] ?? "-",
    ]);
    const up = uptimeMs === undefined ? [] : [dim(`The daemon has been running for ${duration(uptimeMs)}`)];
    print([...listOf(rows, Deno.stdout.isTerminal() ? columnsOf() : Infinity), ...up].join("\n"));
    return 0;
  },
};

const HEAD = ["MODEL", "BACKEND", "STATE", "ON", "MEMORY", "CONTEXT", "RUNNING", "TOKENS/S", "UPTIME"];

/** @returns Lines: a table, or where it would be too wide one line per cell. */
export function listOf(rows: readonly (readonly string[])[], columns: number): string[] {
  const lines = aligned([HEAD, ...rows]);
  if (Math.max(...lines.map(({ length }) => length)) <= columns) {
    return lines.map((one, row) => row > 0 ? one : bold(one));
  }
  return rows.flatMap((row) => row.map((cell, column) => `${bold((HEAD[column] ?? "").padEnd(8))}  ${cell}`));
}

/** Average speed of single answers; `null` if there were none. */
function speedOf(totals: TotalsOfBackend | undefined): number | null {
  if (totals === undefined || totals.generationMs <= 0 || totals.laterTokens === 0) return null;
  return Math.round(totals.laterTokens / totals.generationMs * 10_000) / 10;
}
