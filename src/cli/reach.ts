/** How client commands find the daemon, and the errors when it does not run. */
import {
  type Admin,
  admin,
  type Capabilities,
  type Client,
  connect,
  ConnectError,
  type ConnectOptions,
  InferdError,
  type SurfaceName,
  TimeoutError,
} from "@inferd/client";
import type { TcpAddress } from "@inferd/client/paths";
import { SURFACES } from "@inferd/client/protocol";
import type { Env, ParsedFlags } from "../config/flags.ts";
import { loadConfig } from "../config/load.ts";
import { withFile } from "../config/merge.ts";
import type { SettingValues } from "../config/schema.ts";
import { didYouMean } from "../config/setting/closest.ts";
import { settingName } from "../config/setting/surface_settings.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { UnreachableError } from "./command.ts";
import { whileLoading } from "./loading.ts";
import { typed } from "../config/setting/typed_command.ts";

/** How often to look for backends that are down while waiting, in milliseconds. */
const LOOK_MS = 2000;

/** Location of the daemon according to flags, environment and configuration file. */
export interface Target {
  readonly infer: ConnectOptions;
  readonly admin: { readonly path?: string };
}

type Way = { readonly socket: string } | { readonly tcp: TcpAddress };

/**
 * Determine the daemon's addresses: flags override variables, both override the file, and a unix socket is preferred to
 * TCP. A surface without an address is expected next to the generation socket, or on the same host.
 *
 * @throws {UsageError} If both a socket and a TCP address were given as flags, or the file is invalid.
 */
export async function target(flags: ParsedFlags, env: Env, surface: SurfaceName = "infer"): Promise<Target> {
  const values = withFile(flags.values, await loadConfig(flags.values, env));
  const { apiKey, adminAddr } = values;
  const own = wayTo(surface, values, flags);
  const first = surface === "infer" ? own : wayTo("infer", values, flags);
  return {
    infer: { surface, ...connectOptions(surface, { own, first, apiKey }) },
    admin: adminAddr === undefined ? {} : { path: adminAddr },
  };
}

function wayTo(surface: SurfaceName, values: SettingValues, flags: ParsedFlags): Way | undefined {
  const { flag, tcp: { flag: tcpFlag } } = SURFACES[surface];
  const [ofSocket, ofTcp] = [settingName(flag), settingName(tcpFlag)];
  const asked = [ofSocket, ofTcp].filter((name) => flags.fromFlags.has(name));
  if (asked.length === 2) throw new UsageError(`--${flag} and --${tcpFlag} exclude each other, give one`);
  const [socket, tcp] = [values[ofSocket], values[ofTcp]];
  if (socket !== undefined && asked[0] !== ofTcp) return { socket };
  return tcp === undefined ? undefined : { tcp };
}

function connectOptions(
  surface: SurfaceName,
  { own, first, apiKey }: { own: Way | undefined; first: Way | undefined; apiKey: string | undefined },
): ConnectOptions {
  const key = apiKey === undefined ? {} : { apiKey };
  if (surface === "infer" || own === undefined) {
    if (first === undefined) return {};
    return "socket" in first ? { path: first.socket } : { tcp: { ...first.tcp, ...key } };
  }
  if ("socket" in own) return { paths: { [surface]: own.socket } };
  return { tcp: { hostname: own.tcp.hostname, ports: { [surface]: own.tcp.port }, ...key } };
}

/** @throws {UsageError} If the path is not a valid socket path. */
export function adminOf(where: Target): Admin {
  try {
    return admin(where.admin);
  } catch (error) {
    throw usage(error);
  }
}

/**
 * Connect to the daemon. Waits for one that is still loading; fails immediately if there is none.
 *
 * @throws {UnreachableError} If there is no daemon.
 */
export async function reach(where: Target, say: (line: string) => void): Promise<Client> {
  const { path } = where.admin;
  const connection: ConnectOptions = { ...where.infer, ...path === undefined ? {} : { adminPath: path } };
  try {
    return await connect({ ...connection, timeoutMs: 0, maxRetries: 0 });
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw usage(error);
    if (!(error instanceof ConnectError)) throw error;
    const worthWaiting = error.retryable && where.infer.tcp === undefined && await loading(where, say);
    if (!worthWaiting) throw unreachable(error, where);
  }
  try {
    await whileLoading(where, () => ready(where));
    const { capabilities } = await adminOf(where).snapshot();
    const { surface = "infer" } = where.infer;
    // Otherwise the daemon is ready, and connecting is worth another try.
    if (!capabilities.some(SURFACES[surface].serves)) {
      const models = capabilities.map(({ backend, model }) => `"${model ?? backend}"`).join(", ");
      throw new UnreachableError(
        `The daemon has no backend that ${
          VERBS[surface]
        }, only ${models}. Add a model that does to "backends" in its ` +
          `configuration file; "${typed("models")}" lists those that are here`,
      );
    }
    return await connect({ ...connection, timeoutMs: 0, maxRetries: 0 });
  } catch (error) {
    throw unreachable(error);
  }
}

/** Waits while the backends for the request may still come. */
async function ready(where: Target): Promise<void> {
  for (;;) {
    mustRun(where, await adminOf(where).snapshot());
    try {
      return await adminOf(where).ready({ timeoutMs: LOOK_MS });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    }
  }
}

/** @throws {UnreachableError} If all that could serve the request are down. */
function mustRun(where: Target, { capabilities }: { readonly capabilities: readonly Capabilities[] }): void {
  const { surface = "infer" } = where.infer;
  const { serves } = SURFACES[surface];
  const able = capabilities.some(serves) ? capabilities.filter(serves) : capabilities;
  if (able.length === 0 || able.some(({ state }) => state !== "down")) return;
  const names = able.map(({ backend }) => `"${backend}"`).join(", ");
  throw new UnreachableError(
    `No backend that ${VERBS[surface]} is running: ${names} is down; "${typed("logs")}" says why`,
  );
}

/** What a backend does that serves a surface. */
const VERBS: Readonly<Record<SurfaceName, string>> = {
  infer: "generates",
  v2: "speaks generation v2",
  embed: "embeds",
  rerank: "reranks",
};

/** @throws {UsageError} If the daemon has no model or backend of that name for the surface. */
export async function mustServe(client: Client, name: string, surface: SurfaceName): Promise<void> {
  let served;
  try {
    served = (await client.models()).filter(SURFACES[surface].serves);
  } catch (error) {
    if (error instanceof InferdError) return; // Over TCP nobody lists them; the request will tell.
    throw error;
  }
  const models = served.flatMap(({ model }) => model === undefined ? [] : [model]);
  if (models.includes(name) || served.some(({ backend }) => backend === name)) return;
  const meant = didYouMean(name, models) || `; it has ${models.map((one) => `"${one}"`).join(", ")}`;
  throw new UsageError(`The daemon has no model "${name}"${meant}`);
}

/**
 * Convert an error that means the daemon is unreachable; others are returned unchanged.
 *
 * @param where The addresses; default: the admin socket.
 */
export function unreachable(error: unknown, where?: Target): unknown {
  if (!(error instanceof ConnectError || error instanceof TimeoutError)) return error;
  // A wrong address is not fixed by starting a daemon.
  const isElsewhere = error instanceof ConnectError && !error.retryable;
  // The port is derived, not as written: each surface has its own.
  const surface = where?.infer.tcp === undefined ? undefined : where.infer.surface;
  const flag = surface === undefined || surface === "infer" ? "" : ` --${SURFACES[surface].tcp.flag}`;
  const advice = isElsewhere ? "" : `; "${typed(`serve${flag}`)}" starts a daemon${flag === "" ? "" : " there"}`;
  return new UnreachableError(`${error.message}${advice}`, { cause: error });
}

async function loading(where: Target, say: (line: string) => void): Promise<boolean> {
  try {
    const snapshot = await adminOf(where).snapshot();
    const { status } = snapshot.status;
    if (status === "draining") return false;
    mustRun(where, snapshot);
    if (status !== "ready") say(`The daemon is not ready yet (${status}), waiting`);
    return true;
  } catch (error) {
    if (error instanceof ConnectError) return false;
    throw error;
  }
}

function usage(error: unknown): unknown {
  return error instanceof TypeError || error instanceof RangeError ? new UsageError(error.message) : error;
}
