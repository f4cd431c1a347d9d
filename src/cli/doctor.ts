/** `inferd doctor`: checks everything a daemon needs and reports problems with their remedies. */
import { bold, green, red, yellow } from "@std/fmt/colors";
import { configPath, loadConfig, type LoadedConfig, withKeys } from "../config/load.ts";
import type { DaemonOptions } from "../config/options.ts";
import { type Machine, resolveOptions } from "../config/resolve.ts";
import { SERVE_SETTINGS, type SettingValues } from "../config/schema.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { missingPermissionFlags } from "../monitor/permissions/permissions.ts";
import { type Command, parseCommand } from "./command.ts";
import { checkPlatform } from "./platform.ts";
import { checkEngine } from "./doctor/engine.ts";
import { attempt, type Finding, Findings, type Level } from "./doctor/finding.ts";
import { checkContexts } from "./doctor/contexts.ts";
import { checkModels, checkStore, expectedDownloads } from "./doctor/models.ts";
import { checkRemotes } from "./doctor/remotes.ts";
import {
  checkAdmin,
  checkDisks,
  checkHttpPull,
  checkLock,
  checkLogDir,
  checkPorts,
  checkRoom,
  checkRuntimeDir,
  checkSockets,
  type Holder,
} from "./doctor/places.ts";
import { checkTemplates } from "./doctor/templates.ts";
import { permissionContext } from "./permissions.ts";
import { stderrProgress } from "./terminal/progress.ts";
import { print } from "./terminal/output.ts";
import { typed } from "../config/setting/typed_command.ts";

const MARKS: Readonly<Record<Level, () => string>> = {
  ok: () => `[ ${green("ok")} ]`,
  warn: () => `[${yellow("warn")}]`,
  fail: () => `[${bold(red("FAIL"))}]`,
};

export const doctor: Command = {
  name: "doctor",
  usage: "doctor [--json] [FLAGS OF serve]",
  summary: "Check everything a daemon needs, and say how to fix what is wrong",
  settings: SERVE_SETTINGS,
  flags: [{ flag: "--json", help: "print the findings as one JSON object" }],
  exits: ["0 nothing is wrong, apart from warnings", "1 something is wrong", "2 bad flags or environment"],

  async run(args, { machine }): Promise<number> {
    checkPlatform(machine.platform);
    const flags = parseCommand(this, args, machine.env, 0);
    const asJson = flags.booleans.has("json");
    const checks: Finding[] = [];
    for await (const finding of examine(flags.values, machine)) {
      checks.push(finding);
      if (!asJson) print(lines(finding));
    }
    const ok = checks.every(({ level }) => level !== "fail");
    if (asJson) print(JSON.stringify({ ok, checks }, null, 2));
    return ok ? 0 : 1;
  },
};

function lines({ level, check, message, help }: Finding): string {
  return `${MARKS[level]()} ${check}: ${message}${help === undefined ? "" : `\n       ${help}`}`;
}

async function* examine(values: SettingValues, machine: Machine): AsyncGenerator<Finding> {
  const resolved = await resolveAll(values, machine);
  yield* resolved.findings;
  const { options } = resolved;
  if (options === undefined) {
    yield* await attempt("native library", () => checkEngine(undefined));
    yield* skipped("everything else", "it depends on the configuration", "Fix the configuration");
    return;
  }
  const progress = Deno.stderr.isTerminal() ? stderrProgress() : undefined;
  yield* await attempt("models", async () => {
    const found = await checkModels(options, (what) => progress?.step(what));
    progress?.clear();
    return found;
  });
  yield* await attempt("model store", () => checkStore(options));
  yield* await attempt("context", () => checkContexts(options, machine.memoryBytes));
  const engine = await attempt("native library", () => checkEngine(options));
  yield* engine;
  yield* await attempt("chat template", () => {
    if (engine.every(({ level }) => level !== "fail")) return checkTemplates(options);
    return skipped("chat template", "it needs the native library", "Fix that");
  });
  yield* await attempt("permissions", () => checkPermissions(options, { values, machine }));
  yield* await attempt("runtime directory", () => checkRuntimeDir(options));
  let holder: Holder = { held: false, pid: undefined };
  yield* await attempt("lock", async () => {
    const [findings, found] = await checkLock(options);
    holder = found;
    return findings;
  });
  yield* await attempt("sockets", () => checkSockets(options, holder));
  yield* await attempt("TCP ports", () => checkPorts(options, holder));
  const { modelsHome, logDir, http: { pullInto } } = options;
  if (pullInto !== undefined) {
    yield* await attempt("downloads over HTTP", () => checkHttpPull(pullInto, options.apiKey !== undefined));
  }
  yield* await attempt("remote backends", () => checkRemotes(options));
  yield* await attempt(
    "disk space",
    () => checkDisks({ ...modelsHome === undefined ? {} : { models: modelsHome }, log: logDir }),
  );
  if (modelsHome !== undefined) {
    yield* await attempt("room for downloads", async () => checkRoom(modelsHome, await expectedDownloads(options)));
  }
  yield* await attempt("log folder", () => checkLogDir(options));
  yield* await attempt("admin", () => checkAdmin(options, holder));
}

function skipped(check: string, why: string, help: string): readonly Finding[] {
  return [{ level: "warn", check, message: `Skipped: ${why}`, help: `${help}, then run doctor again` }];
}

/** The options a daemon would run with, and findings about them. */
interface Resolved {
  readonly findings: readonly Finding[];
  readonly options?: DaemonOptions;
}

async function resolveAll(values: SettingValues, machine: Machine): Promise<Resolved> {
  const findings = new Findings("config");
  let config: LoadedConfig | undefined;
  let options: DaemonOptions | undefined;
  try {
    config = await loadConfig(values, machine.env);
    options = resolveOptions(values, machine, config);
    options = withKeys(options, machine.env);
  } catch (error) {
    // This process may lack permission for the variable that holds a backend's key.
    if (!(error instanceof UsageError || error instanceof Deno.errors.NotCapable)) throw error;
    findings.fail(error.message, `Fix it; "${typed("config schema")}" prints what the file may contain`);
  }
  const path = findings.list.length === 0 ? configPath(values, machine.env)?.path : undefined;
  findings.elseOk(
    config !== undefined
      ? `"${config.path}" is valid`
      : path === undefined
      ? "HOME is not set, so no file is read; defaults apply"
      : `There is no file at "${path}"; defaults apply`,
  );
  return { findings: findings.list, ...options === undefined ? {} : { options } };
}

function checkPermissions(
  options: DaemonOptions,
  { values, machine }: { readonly values: SettingValues; readonly machine: Machine },
): readonly Finding[] {
  const findings = new Findings("permissions");
  const missing = missingPermissionFlags(options, permissionContext(values, machine.env));
  if (missing.length > 0) {
    findings.fail(
      `Deno lacks the permissions ${missing.join(" ")}`,
      `Start it with the flags that "${typed("permissions")}" prints for the daemon, "${
        typed("permissions doctor")
      }" for this`,
    );
  }
  return findings.elseOk("Deno has every permission that this configuration needs");
}
