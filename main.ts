#!/usr/bin/env -S deno run -A
/**
 * The `inferd` command line: picks a command, nothing else.
 *
 * @module
 */
import { type Command, commandHelp, programHelp } from "./src/cli/command.ts";
import { didYouMean } from "./src/config/setting/closest.ts";
import { UsageError } from "./src/config/setting/usage_error.ts";
import { FETCH_ARGUMENT } from "./src/libraries/fetch/fetch_command.ts";
import { closeEnvironment, ENGINE_ARGUMENT } from "./src/engine/ipc/command.ts";
import config from "./deno.json" with { type: "json" };
import { runProgram, thisMachine } from "./src/cli/program.ts";
import { print } from "./src/cli/terminal/output.ts";

/** Loaded when asked for, so that `status` does not pay for what `serve` imports. The first is the default. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./src/cli/serve.ts")).serve,
  status: async () => (await import("./src/cli/status.ts")).status,
  ps: async () => (await import("./src/cli/ps.ts")).ps,
  stop: async () => (await import("./src/cli/stop.ts")).stop,
  reload: async () => (await import("./src/cli/reload.ts")).reload,
  logs: async () => (await import("./src/cli/logs.ts")).logs,
  watch: async () => (await import("./src/cli/watch.ts")).watch,
  run: async () => (await import("./src/cli/run.ts")).run,
  generate: async () => (await import("./src/cli/generate.ts")).generate,
  chat: async () => (await import("./src/cli/chat.ts")).chat,
  embed: async () => (await import("./src/cli/embed.ts")).embed,
  rerank: async () => (await import("./src/cli/rerank.ts")).rerank,
  http: async () => (await import("./src/cli/http.ts")).http,
  pull: async () => (await import("./src/cli/pull.ts")).pull,
  import: async () => (await import("./src/cli/import.ts")).importModel,
  models: async () => (await import("./src/cli/models.ts")).models,
  show: async () => (await import("./src/cli/show.ts")).show,
  cp: async () => (await import("./src/cli/rename.ts")).cp,
  rename: async () => (await import("./src/cli/rename.ts")).rename,
  rm: async () => (await import("./src/cli/rm.ts")).rm,
  gc: async () => (await import("./src/cli/gc.ts")).gc,
  config: async () => (await import("./src/cli/config.ts")).config,
  doctor: async () => (await import("./src/cli/doctor.ts")).doctor,
  permissions: async () => (await import("./src/cli/permissions.ts")).permissions,
  service: async () => (await import("./src/cli/service.ts")).service,
  completions: async () => (await import("./src/cli/completions.ts")).completions,
};

async function main(args: readonly string[]): Promise<number> {
  const [first, ...others] = args;
  if (first === ENGINE_ARGUMENT && Deno.build.standalone) return await runEngine();
  if (first === FETCH_ARGUMENT && Deno.build.standalone) return await runFetch();
  if (first === "--version") return show(`inferd ${config.version}\n`);
  if (first === "--help" || first === "-h" || first === "help") {
    return show(programHelp(await commands()));
  }
  const named = first !== undefined && !first.startsWith("-");
  const name = named ? first : "serve";
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    const meant = didYouMean(name, Object.keys(COMMANDS));
    throw new UsageError(`Unknown command "${name}"${meant || `; allowed are ${Object.keys(COMMANDS).join(", ")}`}`);
  }
  const command = await load();
  const rest = named ? others : args;
  const own = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (own.includes("--help") || own.includes("-h")) return show(commandHelp(command));
  return await command.run(rest, { machine: thisMachine(), commands });
}

function commands(): Promise<readonly Command[]> {
  return Promise.all(Object.values(COMMANDS).map((load) => load()));
}

/** In an executable made by `deno compile` the engine is the same program, and has its permissions to begin with. */
async function runEngine(): Promise<number> {
  for (const name of ["net", "write", "run"] as const) Deno.permissions.revokeSync({ name });
  closeEnvironment();
  // Computed, so that a program that is run from its sources never loads the engine.
  await import(import.meta.resolve("./src/engine/main.ts"));
  return 0;
}

/** The same for the process that fetches native libraries. */
async function runFetch(): Promise<number> {
  for (const name of ["run", "ffi", "sys"] as const) Deno.permissions.revokeSync({ name });
  await import(import.meta.resolve("./src/libraries/fetch/fetch_main.ts"));
  return 0;
}

function show(text: string): number {
  print(text.trimEnd());
  return 0;
}

if (import.meta.main) await runProgram(() => main(Deno.args));
