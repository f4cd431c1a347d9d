/** Text of a systemd user unit and of a launchd agent for the daemon. Pure; `cli/service.ts` installs them. */
import { dirname } from "node:path";

/** Identifies files written by this program. */
export const MARKER = 'Written by "inferd service install"';

export interface ServiceSpec {
  /** Program and arguments, with absolute paths. */
  readonly command: readonly string[];
  /** Environment of the daemon; an empty value means "not set". No secrets: others can read the file. */
  readonly environment: Readonly<Record<string, string>>;
  /** File with further variables, maintained by the operator; absent: none. */
  readonly environmentFile?: string;
  /** Existing folders that the daemon writes to. */
  readonly writable: readonly string[];
  /** Whether the runtime directory is `inferd` in the manager's `XDG_RUNTIME_DIR`, and created by the manager. */
  readonly managedRuntimeDir: boolean;
  /** Whether sockets are given to another group, which does not work in a user namespace. */
  readonly changesGroup: boolean;
  /** Drain timeout of running requests. */
  readonly drainTimeoutSecs: number;
  /** File for stderr on systems without a journal. */
  readonly errorLog: string;
}

/** Additional stop timeout for engines and files. */
const STOP_SECS = 15;
/** Watchdog timeout: a daemon with a blocked event loop is restarted. */
const WATCHDOG_SECS = 60;
/** Delay between restarts. */
const RESTART_SECS = 2;
/** The manager gives up after this many starts within this time. */
const START_LIMIT = { burst: 5, secs: 300 } as const;

/** A value cannot be written to the file; the message is for the operator. */
export class UnitError extends Error {
  override readonly name = "UnitError";
}

/**
 * Unit file for `systemd --user`.
 *
 * @throws {UnitError} If a path cannot be expressed in a unit file.
 */
export function systemdUnit(spec: ServiceSpec): string {
  const { command, environment, environmentFile, writable } = spec;
  const [program = ""] = command;
  if (/["'\\]/.test(program)) {
    throw new UnitError(`Cannot start ${JSON.stringify(program)}: a program's path may have no quotes or backslashes`);
  }
  const usesTmp = [...writable, ...command].some((path) => /^(\/var)?\/tmp(\/|$)/.test(path));
  return [
    `# ${MARKER}; reinstalling overwrites changes here. Put your own into a drop-in:`,
    "# systemctl --user edit inferd.service",
    "[Unit]",
    "Description=inferd, a local inference daemon",
    `StartLimitIntervalSec=${START_LIMIT.secs}`,
    `StartLimitBurst=${START_LIMIT.burst}`,
    "",
    "[Service]",
    "Type=notify",
    "# The daemon itself notifies systemd; it may be a child of the process started here.",
    "NotifyAccess=all",
    "# Ready when the models are loaded; a download may take long, and has limits of its own.",
    "TimeoutStartSec=infinity",
    `WatchdogSec=${WATCHDOG_SECS}`,
    // The colon prefix disables "$" expansion.
    `ExecStart=:${command.map(systemdWord).join(" ")}`,
    "ExecReload=/bin/kill -HUP $MAINPID",
    ...Object.entries(environment).map(([name, value]) => `Environment=${systemdWord(`${name}=${value}`)}`),
    ...environmentFile === undefined ? [] : [
      "# Keys, as lines NAME=value. Keep it private (mode 600).",
      `EnvironmentFile=-${specifiers(environmentFile)}`,
    ],
    "Restart=on-failure",
    `RestartSec=${RESTART_SECS}`,
    "# Restarting does not fix wrong flags or a wrong configuration.",
    "RestartPreventExitStatus=2",
    "# The daemon drains on SIGTERM, and its engines end with it.",
    "KillMode=mixed",
    `TimeoutStopSec=${spec.drainTimeoutSecs + STOP_SECS}`,
    "# The daemon restarts an engine that is killed for memory.",
    "OOMPolicy=continue",
    "UMask=0077",
    ...spec.managedRuntimeDir
      ? ["RuntimeDirectory=inferd", "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=restart"]
      : [],
    "",
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "SystemCallArchitectures=native",
    "# V8 needs memory that is writable and executable for its JIT.",
    "MemoryDenyWriteExecute=no",
    ...spec.changesGroup
      ? [
        "# No file system protection: it needs a user namespace, in which the sockets' group cannot be set.",
      ]
      : [
        "# In a user service, file system protection needs a user namespace.",
        "PrivateUsers=yes",
        "ProtectSystem=strict",
        ...writable.map((path) => `ReadWritePaths=-${systemdPath(path)}`),
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        ...usesTmp ? ["# The daemon uses a file in /tmp.", "PrivateTmp=no"] : ["PrivateTmp=yes"],
      ],
    "# Devices stay visible for the accelerator.",
    "PrivateDevices=no",
    "",
    "[Install]",
    "WantedBy=default.target",
    "",
  ].join("\n");
}

/** Quotes a word for systemd. */
function systemdWord(text: string): string {
  const escaped = specifiers(text).replace(/["\\]/g, (character) => `\\${character}`);
  return /^[\w%+,./:=@-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}

/** Quotes a path in a list of paths, where systemd supports quotes but no escapes. */
function systemdPath(path: string): string {
  const text = specifiers(path);
  if (!/[\s"'\\]/.test(text)) return text;
  if (!text.includes('"')) return `"${text}"`;
  if (!text.includes("'")) return `'${text}'`;
  throw new UnitError(`Cannot write ${JSON.stringify(path)} into a unit file: it has quotes of both kinds`);
}

/** Escapes `%`, which starts a specifier anywhere in a unit file. */
function specifiers(text: string): string {
  // deno-lint-ignore no-control-regex -- these are what is refused
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw new UnitError(`Cannot write ${JSON.stringify(text)} into a unit file: it has control characters`);
  }
  return text.replaceAll("%", "%%");
}

/**
 * Property list of a launchd agent.
 *
 * @throws {UnitError} If a value cannot be expressed in XML.
 */
export function launchdPlist(spec: ServiceSpec, label: string): string {
  const dict: PlistValue = {
    Label: label,
    ProgramArguments: [...spec.command],
    EnvironmentVariables: { ...spec.environment },
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: RESTART_SECS * 5,
    ExitTimeOut: spec.drainTimeoutSecs + STOP_SECS,
    ProcessType: "Interactive",
    Umask: 0o077,
    WorkingDirectory: dirname(spec.errorLog),
    StandardErrorPath: spec.errorLog,
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<!-- ${MARKER}; reinstalling overwrites changes here. -->`,
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    ...plistLines(dict),
    "</plist>",
    "",
  ].join("\n");
}

type PlistValue = string | number | boolean | PlistValue[] | { [key: string]: PlistValue };

function plistLines(value: PlistValue): string[] {
  if (typeof value === "string") return [`<string>${xmlText(value)}</string>`];
  if (typeof value === "number") return [`<integer>${value}</integer>`];
  if (typeof value === "boolean") return [value ? "<true/>" : "<false/>"];
  const [tag, inner] = Array.isArray(value)
    ? ["array", value.flatMap(plistLines)]
    : ["dict", Object.entries(value).flatMap(([key, entry]) => [`<key>${xmlText(key)}</key>`, ...plistLines(entry)])];
  return [`<${tag}>`, ...inner.map((line) => `  ${line}`), `</${tag}>`];
}

function xmlText(text: string): string {
  // deno-lint-ignore no-control-regex -- these are what is refused
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text)) {
    throw new UnitError(`Cannot write ${JSON.stringify(text)} into a property list: it has control characters`);
  }
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  return text.replace(/[&<>]/g, (character) => names[character] ?? character);
}
