/** Checks the daemon's folders, lock, sockets, ports and disk space. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { admin, ConnectError, type SurfaceName, TimeoutError } from "@inferd/client";
import { SURFACES } from "@inferd/client/protocol";
import { look } from "../../config/load.ts";
import type { DaemonOptions } from "../../config/options.ts";
import { type DaemonSocket, daemonSockets, pidPathOf, shorterSocket, socketPathFault } from "../../config/sockets.ts";
import { openHeld, readPid } from "../../daemon/lock.ts";
import { errorText } from "../../log/error_text.ts";
import { socketsBehindClosedFolders } from "../../server/group.ts";
import { BindError, bindTcp } from "../../server/listener.ts";
import { type Finding, Findings } from "./finding.ts";
import { nearestAbove, whyNotWritable } from "./writable.ts";
import { quoted, typed } from "../../config/setting/typed_command.ts";

const PRIVATE_MODE = 0o700;
/** Less free space than this is a failure. */
const LEAST_FREE_BYTES = 1024 ** 3;
/** A smaller free share of a disk is a warning. */
const LEAST_FREE_PART = 0.05;

export interface Holder {
  readonly held: boolean;
  /** Content of the pid file, if there is one. */
  readonly pid: number | undefined;
}

/** Check the folder of the sockets: owned by this user, closed to others. */
export function checkRuntimeDir({ runtimeDir }: DaemonOptions): readonly Finding[] {
  const findings = new Findings("runtime directory");
  const info = look(runtimeDir);
  if (info === undefined) {
    const why = whyNotWritable(runtimeDir);
    if (why !== undefined) {
      findings.fail(
        `"${runtimeDir}" cannot be created: ${why}`,
        "Set XDG_RUNTIME_DIR to a folder that this user can write to",
      );
    }
    return findings.elseOk(`"${runtimeDir}" does not exist yet; the next start creates it`);
  }
  const other = `Move it elsewhere, or set XDG_RUNTIME_DIR to a folder of this user`;
  const uid = Deno.uid();
  if (info.isSymlink) findings.fail(`"${runtimeDir}" is a symbolic link`, other);
  else if (!info.isDirectory) findings.fail(`"${runtimeDir}" is not a folder`, other);
  else if (uid !== null && info.uid !== null && info.uid !== uid) {
    findings.fail(`"${runtimeDir}" belongs to user ${info.uid}, this is user ${uid}`, other);
  } else if (info.mode !== null && (info.mode & 0o777) !== PRIVATE_MODE) {
    const mode = (info.mode & 0o777).toString(8);
    findings.warn(`"${runtimeDir}" has mode ${mode}: other users can read it`, `chmod 700 ${quoted(runtimeDir)}`);
  }
  const why = findings.list.length === 0 ? whyNotWritable(runtimeDir) : undefined;
  if (why !== undefined) findings.fail(`"${runtimeDir}" cannot be written to: ${why}`, other);
  return findings.elseOk(`"${runtimeDir}" is this user's, mode 700`);
}

export async function checkLock({ lockPath }: DaemonOptions): Promise<[readonly Finding[], Holder]> {
  const findings = new Findings("lock");
  const pidPath = pidPathOf(lockPath);
  const pid = readPid(pidPath);
  const info = look(lockPath);
  if (info !== undefined && !info.isFile) {
    const what = info.isSymlink ? "a symbolic link" : "not a regular file";
    findings.fail(`"${lockPath}" is ${what}, so no daemon can start`, `Remove it, or choose another path with --lock`);
    return [findings.list, { held: false, pid }];
  }
  using file = info === undefined ? undefined : await openHeld(lockPath);
  const held = file !== undefined;
  if (held) {
    return [findings.elseOk(`"${lockPath}" is held by a running daemon, pid ${pid ?? "unknown"}`), { held, pid }];
  }
  if (pid !== undefined) {
    findings.warn(
      `"${pidPath}" is stale: it names process ${pid}, which holds no lock`,
      "A daemon was killed here; the next start replaces the file",
    );
  }
  return [findings.elseOk(`"${lockPath}" is free`), { held, pid }];
}

/** Check the unix sockets: each path is free or used by the daemon. */
export async function checkSockets(options: DaemonOptions, holder: Holder): Promise<readonly Finding[]> {
  const findings = new Findings("sockets");
  const sockets = daemonSockets(options);
  let inUse = 0;
  for (const socket of sockets) if (await checkSocket(socket, { options, holder, findings })) inUse++;
  const closed = socketsBehindClosedFolders(options.group, Object.values(options.listen));
  for (const [folder, [first, ...others]] of closed) {
    findings.warn(
      `Group "${options.group}" cannot get to "${first}"${others.length > 0 ? ` and ${others.length} more` : ""}: ` +
        `it may not enter "${folder}"`,
      "Put the sockets in a folder that the group may enter, with --uds PATH",
    );
  }
  const rest = sockets.length - inUse;
  return findings.elseOk(
    inUse === 0 ? `${rest} paths are free` : `${inUse} in use by the daemon, ${rest} paths are free`,
  );
}

/** Whether a program accepts connections at a path. */
async function checkSocket(
  socket: DaemonSocket,
  { options, holder, findings }: {
    readonly options: DaemonOptions;
    readonly holder: Holder;
    readonly findings: Findings;
  },
): Promise<boolean> {
  const { path, flag } = socket;
  const elsewhere = `choose another path with ${flag}`;
  const fault = socketPathFault(path);
  if (fault !== undefined) {
    findings.fail(`"${path}": ${fault}`, shorterSocket(socket, options.runtimeDir).replace(/^s/, "S"));
    return false;
  }
  const info = look(path);
  if (info === undefined) {
    const folder = dirname(path);
    if (folder !== options.runtimeDir && look(folder) === undefined) {
      findings.fail(`"${path}": the folder "${folder}" does not exist`, `Create the folder, or ${elsewhere}`);
    }
    return false;
  }
  const uid = Deno.uid();
  if (!info.isSocket) {
    const what = info.isSymlink ? "a symbolic link" : "not a socket";
    findings.fail(`"${path}" is ${what}`, `Move it away, or ${elsewhere}`);
    return false;
  }
  if (uid !== null && info.uid !== null && info.uid !== uid) {
    findings.fail(
      `"${path}" is a socket of user ${info.uid}, this is user ${uid}`,
      `Let user ${info.uid} stop their daemon and remove it, or ${elsewhere}`,
    );
    return false;
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    if (!(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound)) {
      findings.fail(`"${path}" cannot be checked: ${errorText(error)}`, `Remove it, or ${elsewhere}`);
    } else if (!holder.held) {
      findings.warn(`"${path}" is left over from a daemon that is gone`, "The next start removes it");
    }
    return false;
  }
  if (!holder.held) {
    findings.fail(`"${path}" is in use by another program`, `Stop that program, or ${elsewhere}`);
  }
  return true;
}

export function checkPorts(options: DaemonOptions, holder: Holder): readonly Finding[] {
  const findings = new Findings("TCP ports");
  const asked = Object.values(options.listen).filter(({ tcp }) => tcp !== undefined).length;
  if (asked === 0) return findings.elseOk("None is configured");
  let taken = 0;
  for (const [name, { tcp: { flag } }] of Object.entries(SURFACES)) {
    const { tcp } = options.listen[name as SurfaceName];
    if (tcp === undefined) continue;
    try {
      bindTcp(tcp, options.apiKey === undefined ? {} : { apiKey: options.apiKey }).close();
    } catch (error) {
      if (!(error instanceof BindError)) throw error;
      if (error.cause instanceof Deno.errors.NotCapable) throw error.cause;
      // A running daemon holds it itself.
      if (error.cause instanceof Deno.errors.AddrInUse && holder.held) taken++;
      else findings.fail(error.message, `Stop the program that uses it, or choose another address with --${flag}`);
    }
  }
  return findings.elseOk(taken > 0 ? `${taken} of ${asked} in use while the daemon runs` : `${asked} can be bound`);
}

/** Say who may download models into the store over HTTP. */
export function checkHttpPull(store: string, hasKey: boolean): readonly Finding[] {
  const findings = new Findings("downloads over HTTP");
  if (!hasKey) {
    findings.warn(
      `Without an API key every program on this machine may download models into "${store}"`,
      "Set a key with --api-key or api_key_file, or turn http_pull off",
    );
  }
  return findings.elseOk(`HTTP clients with the API key may download models into "${store}"`);
}

/** Check whether the daemon answers, and its state. */
export async function checkAdmin({ adminSocket }: DaemonOptions, holder: Holder): Promise<readonly Finding[]> {
  const findings = new Findings("admin");
  try {
    const { status } = (await admin({ path: adminSocket }).snapshot()).status;
    if (status !== "ready") {
      findings.warn(`The daemon is not ready: ${status}`, `"${typed("watch")}" shows what it is doing`);
    }
    return findings.elseOk("The daemon answers: ready");
  } catch (error) {
    if (!(error instanceof ConnectError || error instanceof TimeoutError)) throw error;
    if (holder.held) {
      findings.fail(
        `A daemon runs, but does not answer at "${adminSocket}"`,
        `If it was started with another --admin-addr, pass the same here; else restart process ${holder.pid ?? ""}`
          .trim(),
      );
    } else {
      findings.warn("No daemon is running", `"${typed("serve")}" starts one`);
    }
    return findings.list;
  }
}

export function checkLogDir({ logDir }: DaemonOptions): readonly Finding[] {
  const findings = new Findings("log folder");
  const help = "Let this user write there, or choose another folder with --log-dir";
  const info = look(logDir);
  if (info === undefined) {
    const why = whyNotWritable(logDir);
    if (why !== undefined) findings.fail(`"${logDir}" cannot be created: ${why}`, help);
    return findings.elseOk(`"${logDir}" does not exist yet; the next start creates it`);
  }
  try {
    Deno.removeSync(Deno.makeTempFileSync({ dir: logDir, prefix: ".doctor-" }));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const why = error instanceof Deno.errors.NotADirectory ? "it is not a folder" : errorText(error);
    findings.fail(`"${logDir}" is not writable: ${why}`, help);
  }
  return findings.elseOk(`"${logDir}" is writable`);
}

export interface ExpectedDownload {
  readonly name: string;
  /** The remaining bytes. */
  readonly bytes: number;
}

/**
 * Check whether there is room for expected downloads.
 *
 * @param ask Queries a file system; replaced in tests.
 * @returns The findings; none without expected downloads.
 */
export async function checkRoom(
  modelsHome: string,
  expected: readonly ExpectedDownload[],
  ask: (path: string) => Promise<DiskSpace> = statfs,
): Promise<readonly Finding[]> {
  const findings = new Findings("room for downloads");
  if (expected.length === 0) return findings.list;
  const { bsize, bavail } = await ask(nearestAbove(modelsHome));
  const [free, wanted] = [bavail * bsize, expected.reduce((sum, { bytes }) => sum + bytes, 0)];
  const names = expected.map(({ name }) => `"${name}"`).join(", ");
  if (wanted > free) {
    findings.fail(
      `The download of ${names} takes ${formatGiB(wanted)}, and "${modelsHome}" has room for ${formatGiB(free)}`,
      "Remove what is not needed, or set MODELS_HOME to a folder on a larger disk",
    );
  }
  return findings.elseOk(`${names}: ${formatGiB(wanted)} of ${formatGiB(free)}`);
}

export interface DiskSpace {
  readonly bsize: number;
  readonly blocks: number;
  /** Blocks available to this user. */
  readonly bavail: number;
}

/**
 * Check the free disk space.
 *
 * @param places Folders by purpose; they need not exist.
 * @param ask Queries a file system; replaced in tests.
 */
export async function checkDisks(
  places: Readonly<Record<string, string>>,
  ask: (path: string) => Promise<DiskSpace> = statfs,
): Promise<readonly Finding[]> {
  const findings = new Findings("disk space");
  const free: string[] = [];
  for (const [name, path] of Object.entries(places)) {
    const { bsize, blocks, bavail } = await ask(nearestAbove(path));
    const bytes = bavail * bsize;
    const part = blocks === 0 ? 1 : bavail / blocks;
    const left = `${formatGiB(bytes)} (${Math.floor(part * 100)} %) left for the ${name} in "${path}"`;
    const help = `Remove what is not needed, or move the ${name} to another disk`;
    if (bytes < LEAST_FREE_BYTES) findings.fail(`Nearly full: ${left}`, help);
    else if (part < LEAST_FREE_PART) findings.warn(`Nearly full: ${left}`, help);
    else free.push(left);
  }
  return findings.elseOk(free.join(", "));
}

function formatGiB(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
