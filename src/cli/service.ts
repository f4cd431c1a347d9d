/** `inferd service`: runs the daemon as a systemd or launchd service of this user. */
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { API_KEY_VARIABLE } from "@inferd/client/protocol";
import type { ParsedFlags } from "../config/flags.ts";
import { loadConfig } from "../config/load.ts";
import type { DaemonOptions } from "../config/options.ts";
import { settingFlags, valueAt } from "../config/merge.ts";
import { type Machine, resolveOptions } from "../config/resolve.ts";
import { SERVE_SETTINGS, SETTINGS } from "../config/schema.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { errorText } from "../log/error_text.ts";
import { monitorPermissionFlags } from "../monitor/permissions/permissions.ts";
import { launchdPlist, MARKER, type ServiceSpec, systemdUnit, UnitError } from "../service/units.ts";
import { type Command, parseCommand, unknownAction } from "./command.ts";
import { permissionContext } from "./permissions.ts";
import { checkPlatform } from "./platform.ts";
import { complain, print } from "./terminal/output.ts";

const ACTIONS = ["install", "uninstall", "print"] as const;
const UNIT = "inferd.service";
const LABEL = "inferd.daemon";
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o700;

type Manager = "systemd" | "launchd";
const MANAGERS: readonly Manager[] = ["systemd", "launchd"];

export const service: Command = {
  name: "service",
  usage: "service install|uninstall|print [FLAGS OF serve]",
  summary: "Start the daemon at login: a systemd user unit, or a launchd agent",
  words: ACTIONS,
  settings: SERVE_SETTINGS.filter((name) => name !== "mockScript"),
  flags: [
    { flag: "--now", help: "install: also start it now" },
    { flag: "--force", help: "install, uninstall: even if the file was not written by this program" },
    { flag: "--for NAME", help: "print: systemd or launchd (default: this system's)", choices: MANAGERS },
  ],
  exits: ["0 done", "1 failed, the reason is on stderr", "2 bad flags, environment or configuration file"],

  async run(args, { machine }): Promise<number> {
    const [action, ...rest] = args;
    const found = ACTIONS.find((one) => one === action);
    if (found === undefined) throw unknownAction(action, ACTIONS);
    const flags = parseCommand(this, rest, machine.env, 0);
    try {
      switch (found) {
        case "print":
          print((await unitText(wanted(flags, machine), { flags, machine })).text.trimEnd());
          return 0;
        case "install":
          return await install(flags, machine);
        case "uninstall":
          return await uninstall(flags, machine);
      }
    } catch (error) {
      if (!(error instanceof UnitError || error instanceof ServiceError)) throw error;
      complain(`inferd: ${error.message}`);
      return 1;
    }
  },
};

/** Installing or removing failed; the message is for the operator. */
class ServiceError extends Error {
  override readonly name = "ServiceError";
}

function wanted(flags: ParsedFlags, machine: Machine): Manager {
  const text = flags.strings.for;
  const manager = text === undefined ? managerOf(machine) : MANAGERS.find((name) => name === text);
  if (manager === undefined) throw new UsageError(`--for must be one of ${MANAGERS.join(", ")}, got "${text}"`);
  return manager;
}

function managerOf({ platform }: Machine): Manager {
  if (platform === "darwin") return "launchd";
  if (platform === "linux") return "systemd";
  checkPlatform(platform);
  throw new UsageError(`There are no services for "${platform}" yet; allowed with --for are ${MANAGERS.join(", ")}`);
}

/** A unit file, and the folders that must exist before it starts. */
interface Unit {
  readonly text: string;
  readonly spec: ServiceSpec;
  readonly options: DaemonOptions;
}

async function unitText(
  manager: Manager,
  { flags, machine }: { readonly flags: ParsedFlags; readonly machine: Machine },
): Promise<Unit> {
  const config = await loadConfig(flags.values, machine.env);
  const options = resolveOptions(flags.values, machine, config);
  const isSaid = config !== undefined && valueAt(config.content, SETTINGS.exitWhenDown.names.key) !== undefined;
  const spec = serviceSpec(options, { flags, machine, isSaid });
  return { text: manager === "systemd" ? systemdUnit(spec) : launchdPlist(spec, LABEL), spec, options };
}

function serviceSpec(
  options: DaemonOptions,
  { flags, machine, isSaid }: {
    readonly flags: ParsedFlags;
    readonly machine: Machine;
    /** The configuration file sets whether to exit when no backend can serve. */
    readonly isSaid: boolean;
  },
): ServiceSpec {
  const { env } = machine;
  const home = homeOf(machine);
  // Secrets do not belong in a file that others may read.
  const { apiKey: _, ...values } = flags.values;
  // The service manager restarts the daemon.
  const given = settingFlags({ ...isSaid ? {} : { exitWhenDown: true }, ...values });
  const execPath = Deno.build.standalone ? Deno.execPath() : lastingDeno(Deno.execPath(), env("PATH") ?? "");
  // The resolved path, in case PATH has a link.
  const context = { ...permissionContext(values, env), execPath: Deno.realPathSync(execPath) };
  const permissions = Deno.build.standalone ? [] : monitorPermissionFlags(options, context);
  const xdg = env("XDG_RUNTIME_DIR");
  const managedRuntimeDir = Boolean(xdg) && options.runtimeDir === join(xdg ?? "", "inferd");
  const { modelsHome: store } = options;
  const denoDir = env("DENO_DIR") || join(env("XDG_CACHE_HOME") || join(home, ".cache"), "deno");
  const sockets = [
    ...Object.values(options.listen).map(({ socket }) => socket),
    options.rpcSocket,
    options.adminSocket,
  ];
  const folders = [
    ...managedRuntimeDir ? [] : [options.runtimeDir],
    ...[...sockets, options.lockPath].map((path) => dirname(path)).filter((path) => path !== options.runtimeDir),
    options.logDir,
    options.cacheDir ?? options.runtimeDir,
    ...store === undefined ? [] : [store],
    ...Deno.build.standalone ? [] : [denoDir],
  ];
  const mayDownload = options.huggingFace !== undefined || options.http.pullInto !== undefined;
  // A token for gated models is a secret, too.
  const needsKeys = flags.values.apiKey !== undefined || mayDownload ||
    options.backends.some((backend) => backend.kind === "openai-compat" && backend.apiKeyEnv !== undefined);
  return {
    command: [...programCommand(execPath, permissions), "serve", ...given],
    environment: {
      // Empty if this shell has none: the folders must match those of the permissions.
      XDG_RUNTIME_DIR: xdg ?? "",
      ...Object.fromEntries(
        [
          "MODELS_HOME",
          "XDG_DATA_HOME",
          "NPM_CONFIG_REGISTRY",
          ...mayDownload ? ["HF_ENDPOINT", "HF_HOME", "HF_TOKEN_PATH", "XDG_CACHE_HOME"] : [],
          ...Deno.build.standalone ? [] : ["DENO_DIR"],
        ]
          .map((name) => [name, env(name)] as const)
          .filter((entry): entry is [string, string] => Boolean(entry[1]) && !hasPassword(entry[1] ?? "")),
      ),
    },
    ...needsKeys ? { environmentFile: environmentFile(home) } : {},
    writable: [...new Set(folders)],
    managedRuntimeDir,
    changesGroup: options.group !== undefined,
    drainTimeoutSecs: options.drainTimeoutSecs,
    errorLog: join(options.logDir, "inferd.stderr.log"),
  };
}

/** Whether a registry URL has credentials, which do not belong in a file that others may read. */
function hasPassword(text: string): boolean {
  return URL.canParse(text) && new URL(text).password !== "";
}

/** The command line that started this program. */
function programCommand(execPath: string, permissions: readonly string[]): string[] {
  if (Deno.build.standalone) return [execPath];
  const main = import.meta.resolve("../../main.ts");
  return [execPath, "run", "--quiet", ...permissions, main.startsWith("file:") ? fileURLToPath(main) : main];
}

/**
 * Find a Deno executable that will persist: npx keeps its own in a cache that gets cleaned.
 *
 * @param path `PATH`, searched for another one.
 * @throws {ServiceError} If none is found.
 */
function lastingDeno(running: string, path: string): string {
  if (!isOfNpx(running)) return running;
  for (const folder of path.split(":")) {
    const found = join(folder, "deno");
    if (isAbsolute(folder) && !isOfNpx(found) && isProgram(found)) return found;
  }
  throw new ServiceError(
    `Cannot start a service with "${running}": npx may remove it at any time. ` +
      'Install Deno so that PATH has it ("curl -fsSL https://deno.land/install.sh | sh", or "npm install -g deno")',
  );
}

function isOfNpx(path: string): boolean {
  return path.split("/").includes("_npx");
}

function isProgram(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch {
    return false;
  }
}

function homeOf({ env }: Machine): string {
  const home = env("HOME");
  if (!home) throw new UsageError("HOME is not set, so there is no place for a service");
  return home;
}

function environmentFile(home: string): string {
  return join(home, ".inferd", "environment");
}

/** Path of the unit file, whether or not it exists; undefined on platforms without services. */
export function serviceFile(machine: Machine): string | undefined {
  if (!machine.env("HOME") || !(machine.platform === "darwin" || machine.platform === "linux")) return undefined;
  return unitPath(managerOf(machine), machine);
}

function unitPath(manager: Manager, machine: Machine): string {
  const home = homeOf(machine);
  if (manager === "launchd") return join(home, "Library", "LaunchAgents", `${LABEL}.plist`);
  return join(machine.env("XDG_CONFIG_HOME") || join(home, ".config"), "systemd", "user", UNIT);
}

async function install(flags: ParsedFlags, machine: Machine): Promise<number> {
  const manager = ownManager(flags, machine);
  const { text, spec } = await unitText(manager, { flags, machine });
  const path = unitPath(manager, machine);
  const before = readOwn(path, flags.booleans.has("force"));
  // A sandboxed service cannot create folders: they must exist before.
  for (const folder of spec.writable) makeFolder(folder, FOLDER_MODE);
  makeFolder(dirname(path), 0o755);
  if (before !== text) {
    const temporary = `${path}.${Deno.pid}.tmp`;
    try {
      Deno.writeTextFileSync(temporary, text, { mode: FILE_MODE, createNew: true });
      Deno.chmodSync(temporary, FILE_MODE);
      Deno.renameSync(temporary, path);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) Deno.removeSync(temporary);
      throw error;
    }
  }
  print(before === text ? `"${path}" is up to date` : `Wrote "${path}"`);
  if (flags.values.apiKey !== undefined) {
    complain(
      manager === "systemd"
        ? `The API key is not in it: put ${API_KEY_VARIABLE}=... into "${environmentFile(homeOf(machine))}", mode 600`
        : "The API key is not in it: put it into a file, and name that as api_key_file in the configuration file",
    );
  }
  const now = flags.booleans.has("now");
  return await tell(
    manager === "systemd"
      ? [["systemctl", "--user", "daemon-reload"], ["systemctl", "--user", "enable", ...now ? ["--now"] : [], UNIT]]
      : now
      ? [["launchctl", "bootstrap", `gui/${machine.uid}`, path]]
      : [],
    manager === "systemd"
      ? [
        ...now ? [] : [`"systemctl --user start ${UNIT}" starts it now; it starts at login`],
        '"loginctl enable-linger" lets it start at boot, without a login',
      ]
      : now
      ? []
      : [`"launchctl bootstrap gui/${machine.uid} '${path}'" starts it now; it starts at login`],
  );
}

async function uninstall(flags: ParsedFlags, machine: Machine): Promise<number> {
  const manager = ownManager(flags, machine);
  const path = unitPath(manager, machine);
  if (readOwn(path, flags.booleans.has("force")) === undefined) {
    print(`There is no "${path}"; nothing to do`);
    return 0;
  }
  const stopped = await tell(
    manager === "systemd"
      ? [["systemctl", "--user", "disable", "--now", UNIT]]
      : [["launchctl", "bootout", `gui/${machine.uid}/${LABEL}`]],
    [],
  );
  Deno.removeSync(path);
  print(`Removed "${path}"`);
  if (manager === "launchd" || stopped !== 0) return stopped;
  return await tell([["systemctl", "--user", "daemon-reload"]], []);
}

function ownManager(flags: ParsedFlags, machine: Machine): Manager {
  if (flags.strings.for !== undefined) throw new UsageError("Cannot use --for with anything but print");
  return managerOf(machine);
}

/** The existing unit file, if it is ours; `undefined` if there is none. */
function readOwn(path: string, force: boolean): string | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new ServiceError(`Cannot read "${path}": ${errorText(error)}`);
  }
  if (force || text.includes(MARKER)) return text;
  throw new ServiceError(`"${path}" was not written by this program; use --force to do it anyway`);
}

function makeFolder(path: string, mode: number): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new ServiceError(`Cannot make "${path}": ${errorText(error)}`);
  }
}

/** Run service manager commands; if that fails, print them for the user. */
async function tell(commands: readonly (readonly string[])[], hints: readonly string[]): Promise<number> {
  for (const [at, [program = "", ...args]] of commands.entries()) {
    const failure = await runQuietly(program, args);
    if (failure === undefined) continue;
    const left = commands.slice(at).map((words) => words.join(" ")).join(" && ");
    complain(`inferd: ${failure.message}; run this when it is available: ${left}`);
    return failure.missing ? 0 : 1;
  }
  for (const hint of hints) print(hint);
  return 0;
}

async function runQuietly(
  program: string,
  args: readonly string[],
): Promise<{ readonly message: string; readonly missing: boolean } | undefined> {
  try {
    const { success, code, stderr } = await new Deno.Command(program, {
      args: [...args],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (success) return undefined;
    const said = new TextDecoder().decode(stderr).trim().split("\n")[0] || `exit code ${code}`;
    return { message: `"${program} ${args.join(" ")}" failed (${said})`, missing: false };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { message: `There is no ${program} here`, missing: true };
  }
}
