/** What other machines can reach needs a key: refused before anything is loaded, and by the sockets again. */
import { isLoopback } from "@inferd/client/protocol";
import type { DaemonOptions } from "./options.ts";
import { UsageError } from "./setting/usage_error.ts";

/** @throws {UsageError} If other machines can reach the address, and there is no key. */
export function requireKey(hostname: string, hasKey: boolean): void {
  if (hasKey || isLoopback(hostname)) return;
  throw new UsageError(
    `Cannot listen on "${hostname}" without a key: set INFERD_API_KEY or "api_key_file", or listen on 127.0.0.1`,
  );
}

/**
 * The same for every address of a daemon and of its bridge to HTTP.
 *
 * @param options The daemon's options; a key file counts as a key.
 * @throws {UsageError} If one of them is open to anybody.
 */
export function requireKeys({ listen, http, apiKey, apiKeyFile }: DaemonOptions): void {
  const hasKey = apiKey !== undefined || apiKeyFile !== undefined;
  for (const { tcp } of Object.values(listen)) if (tcp !== undefined) requireKey(tcp.hostname, hasKey);
  if (http.enabled) requireKey(http.address.hostname, hasKey);
}
