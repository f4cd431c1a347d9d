/**
 * Which registry packages are fetched from, as Deno decides it: `NPM_CONFIG_REGISTRY`, else `.npmrc` of the program's
 * folder, else that of the user; a line for the scope overrides all of them. Also where Deno keeps what it has
 * fetched from there.
 */
import { fromFileUrl } from "@std/path";

/** The folder of `deno.json`. */
const PROGRAM = new URL("../../", import.meta.url);
const DEFAULT_REGISTRY = "https://registry.npmjs.org/";

/** A registry, and how it knows its users. */
export interface Registry {
  readonly url: URL;
  /** The value of the `authorization` header; absent: none is sent. */
  readonly authorization?: string;
}

/** What decides. */
export interface RegistrySources {
  readonly env: (name: string) => string | undefined;
  /** The text of a file; nothing where there is none. */
  readonly read: (path: string) => string | undefined;
  /** For tests; absent: where this program is. */
  readonly program?: URL;
}

/** The configuration of npm does not name a registry; the message is for the operator. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
}

/**
 * The files that configure npm, the nearest first.
 *
 * @param home The user's home, if it is known.
 * @param program Where this program is.
 * @returns Their paths, whether they are there or not.
 */
export function npmrcPaths(home: string | undefined, program = PROGRAM): string[] {
  return [
    ...program.protocol === "file:" ? [fromFileUrl(new URL(".npmrc", program))] : [],
    ...home ? [`${home}/.npmrc`] : [],
  ];
}

/**
 * The registry of a package.
 *
 * @param sources What decides.
 * @param scope The package's; absent: it has none.
 * @returns The registry.
 * @throws {RegistryError} If what is configured is no URL.
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

/** One `key = value` per line; `${NAME}` is replaced by the variable. */
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

/** Keys belong to a part of the registry's URL: `//host/path/:_authToken`; the longest such part counts. */
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
 * The folders that Deno keeps packages in: those of a registry, and those of the public one, which are the same.
 *
 * @param registry The registry that is configured.
 * @param machine Says where Deno's cache is.
 * @returns The folders, the registry's own first; none where no home is known.
 */
export function denoPackagesFolders(
  registry: URL,
  { os, env }: { readonly os: string; readonly env: (name: string) => string | undefined },
): string[] {
  const root = denoFolder(os, env);
  if (root === undefined) return [];
  return [...new Set([registry, new URL(DEFAULT_REGISTRY)].map((url) => `${root}/npm/${folderOf(url)}`))];
}

/** What Deno calls the folder of a registry: it has no name for a host that is only an address. */
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
