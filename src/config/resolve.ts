/** Turns values into `DaemonOptions`: folders, backends, and conflicts between settings. */
import { dirname, join, resolve } from "node:path";
import { DEFAULT_HTTP_PORT, DEFAULT_TCP_HOSTNAME, runtimeDirectory, type TcpAddress } from "@inferd/client/paths";
import { SURFACES } from "@inferd/client/protocol";
import { huggingFaceTokenPath } from "../models/transfer/access.ts";
import { modelsHome } from "../models/store/layout.ts";
import { resolveBackends } from "./backends/backends.ts";
import type { Env } from "./flags.ts";
import { checkFolders, homeDirectory, NO_STORE } from "./home.ts";
import { loadConfig, type LoadedConfig } from "./load.ts";
import { withDefaults, withFile } from "./merge.ts";
import type { BackendConfig, DaemonOptions, HttpListen, Listen, SurfaceName } from "./options.ts";
import { plainValues, SETTINGS, type SettingValues, type SettledValues } from "./schema.ts";
import { settingName } from "./setting/surface_settings.ts";
import type { Places, Settings } from "./setting/setting.ts";
import { UsageError } from "./setting/usage_error.ts";
import { defined } from "../inference/objects.ts";

/** Facts about the machine, injectable for tests. */
export interface Machine {
  readonly env: Env;
  /** `null` on Windows. */
  readonly uid: number | null;
  /** `Deno.build.os`. */
  readonly platform: string;
  readonly memoryBytes: number;
}

/**
 * Resolve all options. Flags override environment variables, both override the file.
 *
 * @returns All options except keys, see `withKeys`.
 * @throws {UsageError} If two settings contradict each other.
 */
export function resolveOptions(given: SettingValues, machine: Machine, config?: LoadedConfig): DaemonOptions {
  checkFolders(machine.env);
  const { values, places } = settle(given, machine, config);
  const { group, apiKey, apiKeyFile, memoryBudgetMib, idleTimeoutSecs, modelsHome: store } = values;
  const backends = resolveBackends({ given, config, store, memoryBytes: () => machine.memoryBytes });
  const home = machine.env("HOME");
  return {
    ...plainValues(values),
    backends,
    runtimeDir: places.runtimeDir,
    listen: listen(values),
    http: httpListen(values),
    rpcSocket: values.rpcAddr,
    adminSocket: values.adminAddr,
    ...defined({ group, apiKey, apiKeyFile }),
    lockPath: values.lock,
    ...defined({ memoryBudgetMib, idleTimeoutSecs, modelsHome: store }),
    ...(values.autoPull && backends.some(isFetched) ? { huggingFace: huggingFace(machine.env) } : {}),
    ...(config?.content.model_autoselect === undefined ? {} : { autoselected: true }),
    ...(home ? { home } : {}),
    cacheDir: join(places.userDir, "cache"),
  };
}

/** The same, with the configuration file that the values or the machine name. */
export async function readOptions(given: SettingValues, machine: Machine): Promise<DaemonOptions> {
  return resolveOptions(given, machine, await loadConfig(given, machine.env));
}

/** Merge all values, and determine the default folders. */
export function settle(
  given: SettingValues,
  machine: Machine,
  config: LoadedConfig | undefined,
  table: Settings = SETTINGS,
): { readonly values: SettledValues; readonly places: Places } {
  const values = withFile(given, config, table);
  const runtimeDir = runtimeDirectory(machine);
  const home = homeDirectory(machine.env);
  const places: Places = {
    runtimeDir,
    socketDir: values.uds === undefined ? runtimeDir : dirname(resolve(values.uds)),
    userDir: home ? join(home, ".inferd") : runtimeDir,
    // Evaluated only if the file does not set it.
    get modelsHome(): string | undefined {
      return modelsHome(machine);
    },
  };
  return { values: withDefaults(values, places, table), places };
}

function listen(values: SettledValues): DaemonOptions["listen"] {
  const entries = Object.entries(SURFACES).map(([name, { flag, tcp }]): [string, Listen] => {
    const [socket, address] = [values[settingName(flag)], values[settingName(tcp.flag)]];
    return [name, address === undefined ? { socket } : { socket, tcp: address }];
  });
  return Object.fromEntries(entries) as Record<SurfaceName, Listen>;
}

/**
 * Configuration of the HTTP bridge.
 *
 * @returns Its address, origins and aliases, and the store it may download into.
 * @throws {UsageError} If the host is a name other than `localhost`, or there is no store to download into.
 */
export function httpListen(
  { http, httpOrigins, httpPull, aliases, modelsHome }: Pick<SettledValues, HttpSetting>,
): HttpListen {
  if (httpPull && modelsHome === undefined) throw new UsageError(NO_STORE);
  return {
    enabled: http !== undefined,
    address: http === undefined ? { hostname: DEFAULT_TCP_HOSTNAME, port: DEFAULT_HTTP_PORT } : numbered(http),
    origins: httpOrigins ?? [],
    aliases: aliases ?? {},
    ...(httpPull && modelsHome !== undefined ? { pullInto: modelsHome } : {}),
  };
}

/** Net permissions are granted by address, and a host name's addresses are not known beforehand. */
function numbered({ hostname, port }: TcpAddress): TcpAddress {
  if (hostname.toLowerCase() === "localhost") return { hostname: DEFAULT_TCP_HOSTNAME, port };
  if (hostname.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(hostname)) return { hostname, port };
  throw new UsageError(
    `Cannot serve HTTP on ${
      JSON.stringify(hostname)
    }: give the IP address of an interface, e.g. 127.0.0.1, or localhost`,
  );
}

type HttpSetting = "http" | "httpOrigins" | "httpPull" | "aliases" | "modelsHome";

/** Whether a backend's model may have to be downloaded. */
function isFetched(backend: BackendConfig): boolean {
  return backend.kind === "llamacpp" && backend.source !== undefined;
}

/** Endpoint of Hugging Face and path of the token file; the token itself is added by `withKeys`. */
export function huggingFace(env: Env): NonNullable<DaemonOptions["huggingFace"]> {
  const [endpoint, tokenPath] = [env("HF_ENDPOINT"), huggingFaceTokenPath(env)];
  return { ...(endpoint ? { endpoint } : {}), ...(tokenPath === undefined ? {} : { tokenPath }) };
}
