/** `inferd config`: the effective configuration of a daemon, and the schema of its file. */
import { bold, dim } from "@std/fmt/colors";
import { parseFlags } from "../config/flags.ts";
import { configPath, loadConfig } from "../config/load.ts";
import { configValues, type OriginatedValue } from "../config/origins.ts";
import { resolveOptions } from "../config/resolve.ts";
import { SERVE_SETTINGS } from "../config/schema.ts";
import { type Command, parseCommand, unknownAction } from "./command.ts";
import { aligned, print } from "./terminal/output.ts";

const ACTIONS = ["print", "schema"] as const;

export const config: Command = {
  name: "config",
  usage: "config print [--json] [FLAGS OF serve] | config schema",
  summary: "Print the configuration with each value's origin, or the JSON Schema of its file",
  words: ACTIONS,
  settings: SERVE_SETTINGS,
  flags: [{ flag: "--json", help: "print the configuration as one JSON object" }],
  exits: ["0 done", "2 bad flags, environment or configuration file"],

  async run(args, { machine }): Promise<number> {
    const [action, ...rest] = args;
    if (action === "schema") {
      parseFlags(rest, machine.env, { settings: [], words: 0 });
      const { configSchemaText } = await import("../config/json_schema_file.ts");
      print(configSchemaText().trimEnd());
      return 0;
    }
    if (action !== "print") throw unknownAction(action, ACTIONS);
    const flags = parseCommand(this, rest, machine.env, 0);
    const found = configPath(flags.values, machine.env);
    const file = await loadConfig(flags.values, machine.env);
    const options = resolveOptions(flags.values, machine, file);
    const values = configValues({ flags, machine, config: file, options });
    const place = { path: found?.path ?? null, exists: file !== undefined };
    print(flags.booleans.has("json") ? json(place, values) : table(place, values));
    return 0;
  },
};

/** Path of the file, whether or not it exists. */
interface FilePlace {
  readonly path: string | null;
  readonly exists: boolean;
}

function json(config_file: FilePlace, list: readonly OriginatedValue[]): string {
  const values = Object.fromEntries(list.map(({ key, value, origin }) => [key, { value, origin }]));
  return JSON.stringify({ config_file, values }, null, 2);
}

function table({ path, exists }: FilePlace, list: readonly OriginatedValue[]): string {
  const file = path === null ? "none" : `${path}${exists ? "" : " (there is none)"}`;
  return [
    `${bold("config file")}  ${file}`,
    "",
    ...aligned(list.map(({ key, value, origin }) => [bold(key), shown(value), dim(origin)])),
  ].join("\n");
}

function shown(value: unknown): string {
  if (value === null) return "-";
  return typeof value === "string" ? value : JSON.stringify(value);
}
