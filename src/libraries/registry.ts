/**
 * Determines the npm registry as Deno does: `NPM_CONFIG_REGISTRY`, else `.npmrc` in the program's folder, else the
 * user's; a line for the scope overrides all of them. Also locates Deno's npm cache.
 */
import { fileURLToPath } from "node:url";

/** The folder of `deno.json`. */
const PROGRAM = new URL("../../", import.meta.url);
const DEFAULT_REGISTRY = "https://registry.npmjs.org/";

export interface Registry {
  readonly url: URL;
  /** Value of the `authorization` header, if any. */
  readonly authorization?: string;
}

export interface RegistrySources {
  readonly env: (name: string) => string | undefined;
  /** Text of a file, if it exists. */
  readonly read: (path: string) => string | undefined;
  /** Overrides the program's location, for tests. */
  readonly program?: URL;
}

/** npm's configuration has an invalid registry; the message is for the operator. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
}

/**
 * Paths of npm's configuration files, highest precedence first.
 *
 * @param home The user's home, if known.
 * @returns The paths, whether or not the files exist.
 */
export function npmrcPaths(home: string | undefined, program = PROGRAM): string[] {
  return [
    ...program.protocol === "file:" ? [fileURLToPath(new URL(".npmrc", program))] : [],
    ...home ? [`${home}/.npmrc`] : [],
  ];
}

/**
 * Registry of a package.
 *
 * @param scope Scope of the package, if any.
 * @throws {RegistryError} If the configured value is not a URL.
 */
export function configuredRegistry(sources: RegistrySources, scope?: string): Registry {
  const { env, read, program } = sources;
  const files = npmrcPaths(env("HOME"), program).flatMap((path) => {
    const text = read(path);
    return text === undefined ? [] : [readNpmrc(text, env)];
  });
  const setting = (key: string): string | undefined => files.map((file) => file.get(key)).find((value) => value);
  const text = (scope && setting(`${scope}:registry`)) ?? (env("NPM_CONFIG_REGISTRY") || setting("registry")) ??
    DEFAULT_REGISTRY;
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    throw new RegistryError(`The registry that npm is configured with must be an http or https URL, got "${text}"`);
  }
  const url = new URL(text.endsWith("/") ? text : `${text}/`);
  const authorization = authorizationFor(url, setting);
  return { url, ...(authorization === undefined ? {} : { authorization }) };
}

/** One `key = value` per line; `${NAME}` is expanded from the environment. */
function readNpmrc(text: string, env: RegistrySources["env"]): Map<string, string> {
  const settings = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, key, value] = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    const unquoted = value.replace(/^(["'])(.*)\1$/, "$2");
    settings.set(key, unquoted.replace(/\$\{([^}]+)\}/g, (whole, name: string) => env(name) ?? whole));
  }
  return settings;
}

/** Tokens belong to a URL prefix: `//host/path/:_authToken`; the longest match wins. */
function authorizationFor(url: URL, setting: (key: string) => string | undefined): string | undefined {
  const segments = url.pathname.split("/").filter((segment) => segment !== "");
  for (let kept = segments.length; kept >= 0; kept--) {
    const prefix = ["/", url.host, ...segments.slice(0, kept)].join("/");
    for (const start of [`${prefix}/`, prefix]) {
      const token = setting(`${start}:_authToken`);
      if (token !== undefined) return `Bearer ${token}`;
      const basic = setting(`${start}:_auth`);
      if (basic !== undefined) return `Basic ${basic}`;
      const [user, password] = [setting(`${start}:username`), setting(`${start}:_password`)];
      if (user !== undefined && password !== undefined) return `Basic ${btoa(`${user}:${atob(password)}`)}`;
    }
  }
  return undefined;
}

/**
 * Deno's package folders for the configured and for the public registry, whose packages are the same.
 *
 * @returns The folders, the configured registry's first; empty if no home is known.
 */
export function denoPackagesFolders(
  registry: URL,
  { os, env }: { readonly os: string; readonly env: (name: string) => string | undefined },
): string[] {
  const root = denoFolder(os, env);
  if (root === undefined) return [];
  return [...new Set([registry, new URL(DEFAULT_REGISTRY)].map((url) => `${root}/npm/${folderOf(url)}`))];
}

/** Deno's folder name of a registry; empty host for IP addresses. */
function folderOf(registry: URL): string {
  const isName = !/^[\d.]+$/.test(registry.hostname) && !registry.hostname.startsWith("[");
  const host = [isName ? registry.hostname : "", registry.port].filter((part) => part !== "").join("_");
  const parts = [host, ...registry.pathname.split("/")].filter((part) => part !== "");
  return parts.map((part) => part.replace(/[<>:"|?*]/g, "_")).join("/");
}

function denoFolder(os: string, env: (name: string) => string | undefined): string | undefined {
  const given = env("DENO_DIR");
  if (given) return given;
  if (os === "windows") return env("LOCALAPPDATA") ? `${env("LOCALAPPDATA")}/deno` : undefined;
  const home = env("HOME");
  if (os === "darwin") return home ? `${home}/Library/Caches/deno` : undefined;
  const cache = env("XDG_CACHE_HOME") || (home ? `${home}/.cache` : undefined);
  return cache === undefined ? undefined : `${cache}/deno`;
}
