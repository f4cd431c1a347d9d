/** That a setting, or a surface, is its row: everything else is derived. Each test adds a row to a table, and nothing else. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SURFACES } from "@inferd/client/protocol";
import { type Command, commandHelp } from "../../../src/cli/command.ts";
import { completionScript } from "../../../src/cli/completions.ts";
import { BACKENDS, MODEL_SETTINGS, TABLES } from "../../../src/config/backends/backend_schema.ts";
import { backendSettings } from "../../../src/config/backends/backends.ts";
import { parseConfigFile } from "../../../src/config/file.ts";
import { type ParsedFlags, parseFlags } from "../../../src/config/flags.ts";
import { configSchemaText } from "../../../src/config/json_schema_file.ts";
import type { LoadedConfig } from "../../../src/config/load.ts";
import { hasRelativePath, settingFlags, valueAt, withFile } from "../../../src/config/merge.ts";
import { configValues } from "../../../src/config/origins.ts";
import { type Machine, resolveOptions, settle } from "../../../src/config/resolve.ts";
import {
  environment,
  plainValues,
  type SettingName,
  SETTINGS,
  type SettingValues,
} from "../../../src/config/schema.ts";
import { flagged, setting, type Settings, type Tables } from "../../../src/config/setting/setting.ts";
import { surfaceSettings } from "../../../src/config/setting/surface_settings.ts";
import { UsageError } from "../../../src/config/setting/usage_error.ts";
import { choice, path, textMap, texts, whole } from "../../../src/config/setting/value_types.ts";

const MORE: Settings = {
  ...SETTINGS,
  burst: setting({
    names: { key: "limits.burst", flag: "burst", env: "INFERD_BURST" },
    type: whole(1, 9),
    default: 3,
    help: "requests at once",
    plain: true,
  }),
  tone: setting({
    names: { key: "tone", flag: "tone", env: "INFERD_TONE" },
    type: choice("kind", "curt"),
    help: "how it speaks",
  }),
  spool: setting({
    names: { key: "spool", flag: "spool", env: "INFERD_SPOOL" },
    type: path("DIR"),
    default: ({ userDir }) => `${userDir}/spool`,
    otherwise: "~/.inferd/spool",
    help: "folder of what waits",
  }),
  origins: setting({
    names: { key: "origins", flag: "origins", env: "INFERD_ORIGINS" },
    type: texts("A,B", 3, { what: "small letters", fits: (text) => /^[a-z]+$/.test(text) }),
    help: "who may ask",
  }),
  aliases: setting({
    names: { key: "aliases", flag: "aliases", env: "INFERD_ALIASES" },
    type: textMap("A=B,..."),
    default: {},
    help: "other names",
  }),
};
const MORE_TABLES: Tables = { ...TABLES, settings: MORE };
const COMMAND: Command = {
  name: "serve",
  usage: "serve",
  summary: "Serve",
  settings: flagged(MORE) as SettingName[],
  flags: [],
  exits: [],
  run: () => Promise.resolve(0),
};
const MACHINE: Machine = {
  env: (name) => ({ HOME: "/h" })[name],
  uid: 1000,
  platform: "linux",
  memoryBytes: 8e9,
};

function assertHas(actual: object, expected: Readonly<Record<string, unknown>>): void {
  const found: Readonly<Record<string, unknown>> = { ...actual };
  assertEquals(Object.fromEntries(Object.keys(expected).map((key) => [key, found[key]])), expected);
}

function parse(args: readonly string[], env: Readonly<Record<string, string>> = {}): ParsedFlags {
  return parseFlags(args, (name) => env[name], { settings: COMMAND.settings }, MORE);
}

function loaded(content: unknown, tables: Tables = MORE_TABLES): LoadedConfig {
  return {
    path: "/etc/c.json",
    content: parseConfigFile(JSON.stringify(content), "c.json", tables),
    place: (path) => path.startsWith("/") ? path : `/etc/${path}`,
  };
}

function originsOf(flags: ParsedFlags, config: LoadedConfig | undefined): Record<string, unknown> {
  const options = resolveOptions(flags.values, MACHINE, config);
  const list = configValues({ flags, machine: MACHINE, config, options }, MORE_TABLES);
  return Object.fromEntries(list.map(({ key, value, origin }) => [key, [value, origin]]));
}

Deno.test("a setting's row makes its flag and its variable, with the type's limits", () => {
  const { values } = parse(["--burst", "4", "--origins=a, b"], { INFERD_TONE: "curt", INFERD_BURST: "5" });
  assertHas(values, { burst: 4, tone: "curt", origins: ["a", "b"] });
  assertThrows(() => parse(["--burst", "10"]), UsageError, '--burst must be a whole number from 1 to 9, got "10"');
  assertThrows(() => parse(["--origins", "a,B"]), UsageError, '--origins must be small letters, got "a,B"');
  assertThrows(() => parse(["--aliases", "a"]), UsageError, '--aliases must be A=B,..., got "a"');
  assertHas(parse(["--aliases", "a=b, c=d=e"]).values, { aliases: { a: "b", c: "d=e" } });
  assertThrows(() => parse([], { INFERD_TONE: "loud" }), UsageError, "INFERD_TONE must be one of kind, curt");
  assertEquals(environment(MORE).includes("INFERD_SPOOL"), true);
});

Deno.test("a setting's row makes its key in the file, and what editors are told of it", () => {
  assertEquals(loaded({ limits: { burst: 2 }, tone: "kind" }).content, { limits: { burst: 2 }, tone: "kind" });
  for (
    const [content, message] of [
      [{ limits: { burst: 10 } }, "limits.burst: must be at most 9, got 10"],
      [{ limits: { brust: 1 } }, "limits.brust: there is no such key"],
      [{ origins: ["a", "B"] }, "origins[1]: must be small letters"],
      [{ aliases: { a: 1 } }, "aliases.a: must be a string, got 1"],
      [{ tone: "loud" }, 'tone: must be one of "kind", "curt", got "loud"'],
    ] as const
  ) {
    assertThrows(() => loaded(content), UsageError, `Cannot use "c.json": ${message}`);
  }
  const schema: unknown = JSON.parse(configSchemaText(MORE_TABLES));
  assertEquals(valueAt(schema, "properties.limits.properties.burst"), {
    type: "integer",
    minimum: 1,
    maximum: 9,
    description: "Requests at once",
    default: 3,
  });
  assertEquals(
    valueAt(schema, "properties.spool.description"),
    `Folder of what waits; by default ~/.inferd/spool. Relative paths start at this file's folder, "~/" at home`,
  );
});

Deno.test("a setting's row makes the merge: flag, variable, file, default, and paths absolute", () => {
  const settled = (values: SettingValues, config?: LoadedConfig): object =>
    settle(values, MACHINE, config, MORE).values;
  const file = loaded({ limits: { burst: 2 }, spool: "there" });
  assertHas(settled({}), { burst: 3, spool: "/h/.inferd/spool" });
  assertHas(settled({}, file), { burst: 2, spool: "/etc/there" });
  assertHas(settled(parse(["--spool", "here"], { INFERD_BURST: "5" }).values, file), {
    burst: 5,
    spool: `${Deno.cwd()}/here`,
  });
  assertHas(withFile({}, file, MORE), { burst: 2, spool: "/etc/there" });
  const { values } = settle({}, MACHINE, file, MORE);
  assertHas(plainValues(values, MORE), { burst: 2, spool: undefined });
});

Deno.test("a setting's row makes its line of the configuration, with its origin", () => {
  const values = originsOf(
    parse(["--tone=curt"], { INFERD_SPOOL: "/s" }),
    loaded({ limits: { burst: 2 }, aliases: { a: "b" } }),
  );
  assertHas(values, {
    "limits.burst": [2, "file /etc/c.json: limits.burst"],
    tone: ["curt", "flag --tone"],
    spool: ["/s", "environment INFERD_SPOOL"],
    origins: [null, "default"],
    aliases: [{ a: "b" }, "file /etc/c.json: aliases"],
  });
  assertHas(originsOf(parse([]), undefined), { "limits.burst": [3, "default"] });
});

Deno.test("a setting's row makes its help and its completion", () => {
  const help = commandHelp(COMMAND, MORE);
  assertStringIncludes(help, "  --burst N ");
  assertStringIncludes(help, "requests at once (default: 3) [INFERD_BURST]");
  assertStringIncludes(help, "folder of what waits (default: ~/.inferd/spool) [INFERD_SPOOL]");
  assertStringIncludes(help, "  --tone kind|curt ");
  const fish = completionScript("fish", [COMMAND], MORE);
  assertStringIncludes(fish, "-l tone -x -a 'kind curt' -d 'how it speaks'");
  assertStringIncludes(fish, "-l spool -r -F -d 'folder of what waits (default: ~/.inferd/spool)'");
});

Deno.test("a setting's row makes the flags for another process", () => {
  const { values } = parse(["--spool", "here", "--origins", "a,b", "--aliases=a=b,c=d"]);
  assertEquals(hasRelativePath(values, MORE), true);
  const flags = settingFlags(values, MORE);
  assertEquals(flags.toSorted(), ["--aliases=a=b,c=d", "--origins=a,b", `--spool=${Deno.cwd()}/here`]);
  const again = parse(flags).values;
  assertEquals(again, { ...values, ...{ spool: `${Deno.cwd()}/here` } });
  assertEquals(hasRelativePath(again, MORE), false);
});

Deno.test("a backend's row makes its key, its value and its line", () => {
  const llamacpp = {
    ...BACKENDS.llamacpp,
    settings: {
      ...BACKENDS.llamacpp.settings,
      tone: MORE.tone as typeof MORE[string],
      depth: setting({
        names: { key: "depth" },
        type: whole(1, 5),
        default: 2,
        help: "how deep",
      }),
    },
  };
  const tables: Tables = { settings: MORE, backends: { ...BACKENDS, llamacpp } };
  const entry = { kind: "llamacpp", name: "a", model: { name: "inferd-tiny" }, depth: 4 } as const;
  const config = loaded({ backends: [entry], tone: "kind" }, tables);
  assertThrows(
    () => loaded({ backends: [{ ...entry, depth: 6 }] }, tables),
    UsageError,
    "backends[0].depth: must be at most 5, got 6",
  );
  const values = (given: SettingValues, of: Readonly<Record<string, unknown>> = entry): object =>
    backendSettings("llamacpp", of, { given, config }, tables);
  assertEquals(values({}), { depth: 4, tone: "kind" });
  assertEquals(values({}, { tone: "curt" }), { depth: 2, tone: "curt" });
  assertEquals(values(parse(["--tone=kind"]).values, { tone: "curt" }), { depth: 2, tone: "kind" });
  const options = resolveOptions({}, MACHINE, config);
  const list = configValues({ flags: parse([]), machine: MACHINE, config, options }, tables);
  assertEquals(list.find(({ key }) => key === "backends[0].depth")?.origin, "file /etc/c.json: backends[0].depth");
});

Deno.test("a surface's row makes the settings of its socket and of its TCP port", () => {
  const score = {
    title: "scores",
    service: "score",
    serves: (): boolean => true,
    socket: "infer.score",
    flag: "score-addr",
    variable: "INFERD_SCORE_ADDR",
    tcp: { port: 47329, flag: "score-tcp", variable: "INFERD_SCORE_TCP" },
  };
  const table: Settings = surfaceSettings({ ...SURFACES, score });
  const command = { settings: ["scoreAddr", "scoreTcp", "uds"] as string[] as SettingName[] };
  const { values } = parseFlags(
    ["--score-tcp"],
    (name) => name === "INFERD_UDS" ? "/r/a.sock" : undefined,
    command,
    table,
  );
  assertEquals<object>(values, { uds: "/r/a.sock", scoreTcp: { hostname: "127.0.0.1", port: 47329 } });
  assertHas(settle(values, MACHINE, undefined, table).values, { scoreAddr: "/r/infer.score.sock" });
  const config = loaded({ listen: { score_addr: "s.sock", score_tcp: "ada" } }, { ...TABLES, settings: table });
  assertEquals<object>(withFile({}, config, table), {
    scoreAddr: "/etc/s.sock",
    scoreTcp: { hostname: "ada", port: 47329 },
  });
});

Deno.test("docs/operations.md names every key of the configuration file", () => {
  const text = Deno.readTextFileSync(new URL("../../../docs/operations.md", import.meta.url));
  const tables: readonly Settings[] = [
    SETTINGS,
    MODEL_SETTINGS,
    ...Object.values(BACKENDS).map(({ settings }) => settings),
  ];
  const keys = tables.flatMap((table) => Object.values(table)).flatMap(({ names }) =>
    names.key?.split(".").at(-1) ?? []
  );
  assertEquals(keys.filter((key) => !text.includes(`\`${key}\``) && !text.includes(`"${key}"`)), []);
  assertEquals(keys.length > 30, true);
});
