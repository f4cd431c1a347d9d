/**
 * How the commands that are clients find the daemon, and what they say when there is none.
 */
import {
  type Admin,
  admin,
  type Client,
  connect,
  ConnectError,
  type ConnectOptions,
  TimeoutError,
} from "@inferd/client";
import type { ParsedFlags } from "../config/flags.ts";
import { UsageError } from "../config/settings.ts";
import { UnreachableError } from "./command.ts";

/** Where the daemon is, as far as flags and environment say. */
export interface Target {
  readonly infer: ConnectOptions;
  readonly admin: { readonly path?: string };
}

/**
 * Decide where the daemon is: a flag goes before a variable, and a unix socket before TCP.
 *
 * @param flags The parsed command line.
 * @returns Where to connect.
 * @throws {UsageError} If both a socket and a TCP address were given as flags.
 */
export function target(flags: ParsedFlags): Target {
  const { uds, tcp, adminAddr, apiKey } = flags.values;
  const asked = (["uds", "tcp"] as const).filter((name) => flags.fromFlags.has(name));
  if (asked.length === 2) throw new UsageError("--uds and --tcp exclude each other, give one");
  const overTcp = asked[0] === "tcp" || (asked[0] === undefined && uds === undefined && tcp !== undefined);
  const infer = overTcp && tcp !== undefined
    ? { tcp: { ...tcp, ...(apiKey === undefined ? {} : { apiKey }) } }
    : uds === undefined
    ? {}
    : { path: uds };
  return { infer, admin: adminAddr === undefined ? {} : { path: adminAddr } };
}

/**
 * The daemon's admin socket.
 *
 * @param where Where the daemon is.
 * @returns The socket.
 * @throws {UsageError} If the path cannot be one.
 */
export function adminOf(where: Target): Admin {
  try {
    return admin(where.admin);
  } catch (error) {
    throw usage(error);
  }
}

/**
 * Connect to the daemon. One that is still loading is waited for; where there is none, that is said at once.
 *
 * @param where Where the daemon is.
 * @param say Told what is waited for.
 * @returns The client.
 * @throws {UnreachableError} If there is no daemon.
 */
export async function reach(where: Target, say: (line: string) => void): Promise<Client> {
  try {
    return await connect({ ...where.infer, timeoutMs: 0 });
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw usage(error);
    if (!(error instanceof ConnectError)) throw error;
    const worthWaiting = error.retryable && where.infer.tcp === undefined && await loading(where, say);
    if (!worthWaiting) throw unreachable(error);
  }
  try {
    await adminOf(where).ready({ timeoutMs: Infinity });
    // Who is ready can be connected to.
    return await connect({ ...where.infer, timeoutMs: 0 });
  } catch (error) {
    throw unreachable(error);
  }
}

/**
 * What to throw for an error that says the daemon cannot be reached; others pass through.
 *
 * @param error What was caught.
 * @returns What to throw.
 */
export function unreachable(error: unknown): unknown {
  if (!(error instanceof ConnectError || error instanceof TimeoutError)) return error;
  return new UnreachableError(`${error.message}; "inferd serve" starts a daemon`, { cause: error });
}

async function loading(where: Target, say: (line: string) => void): Promise<boolean> {
  try {
    const { status } = (await adminOf(where).snapshot()).status;
    if (status === "draining") return false;
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
