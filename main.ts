#!/usr/bin/env -S deno run -A
/**
 * The `inferd` command line: picks a command, nothing else.
 *
 * @module
 */
import { type Command, commandHelp, programHelp } from "./src/cli/command.ts";
import { COMMANDS } from "./src/cli/commands.ts";
import { didYouMean } from "./src/config/setting/closest.ts";
import { UsageError } from "./src/config/setting/usage_error.ts";
import config from "./deno.json" with { type: "json" };
import { CONFINED_ARGUMENT, runConfined } from "./src/confinement/confined.ts";
import { EXACT_ARGUMENT, runExactly } from "./src/cli/exactly.ts";
import { runProgram, thisMachine } from "./src/cli/program.ts";
import { print } from "./src/cli/terminal/output.ts";

const VERSION: readonly string[] = ["--version", "-v", "-V", "version"];
/** What such commands are called elsewhere. */
const SYNONYMS: Readonly<Record<string, string>> = {
  list: "models",
  ls: "models",
  start: "serve",
  up: "serve",
  download: "pull",
  get: "pull",
  delete: "rm",
  remove: "rm",
  info: "show",
  ask: "generate",
  complete: "generate",
  log: "logs",
  kill: "stop",
  down: "stop",
  check: "doctor",
};

async function main(args: readonly string[]): Promise<number> {
  const isExact = args[0] === EXACT_ARGUMENT;
  const [first, ...others] = isExact ? args.slice(1) : args;
  if (first === CONFINED_ARGUMENT && Deno.build.standalone) return await runConfined(others);
  if (first !== undefined && VERSION.includes(first)) return show(`inferd ${config.version}\n`);
  if (first === "help" && others[0] !== undefined) return await main([...others, "--help"]);
  if (first === "--help" || first === "-h" || first === "help") {
    return show(programHelp(await commands()));
  }
  const named = first !== undefined && !first.startsWith("-");
  const name = named ? first : "serve";
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    const other = Object.hasOwn(SYNONYMS, name) ? SYNONYMS[name] : undefined;
    const meant = other === undefined ? didYouMean(name, Object.keys(COMMANDS)) : `; did you mean "${other}"?`;
    throw new UsageError(`Unknown command "${name}"${meant || `; allowed are ${Object.keys(COMMANDS).join(", ")}`}`);
  }
  const command = await load();
  const rest = named ? others : args;
  const own = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (isExact) return await runExactly(command, rest, thisMachine());
  if (own.includes("--help") || own.includes("-h")) return show(commandHelp(command));
  return await command.run(rest, { machine: thisMachine(), commands });
}

function commands(): Promise<readonly Command[]> {
  return Promise.all(Object.values(COMMANDS).map((load) => load()));
}

function show(text: string): number {
  print(text.trimEnd());
  return 0;
}

if (import.meta.main) await runProgram(main);
