/**
 * Lists the npm packages loaded by the programs and the published packages, with version and licence, and fails if a
 * licence is not allowed. Optional packages for other platforms, which npm does not install here, are only counted.
 *
 * usage: deno task licences
 */
import { join } from "@std/path";
import { PACKAGES, read, ROOT } from "./copy.ts";

/** Permissive licences, which require attribution only. */
export const ALLOWED: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
]);

/** Entry points loaded by computed specifiers, which do not appear in the graph of `main.ts`. */
const PROGRAMS: readonly string[] = [
  "src/cli/daemon_main.ts",
  "src/cli/http_main.ts",
  "src/engine/main.ts",
  "src/engine/chat/render/chat_wrappers.ts",
  "src/libraries/fetch/fetch_main.ts",
];

/** A loaded package. */
export interface LoadedPackage {
  readonly name: string;
  readonly version: string;
  /** As in `package.json`; undefined if missing. */
  readonly licence?: string;
}

/** A program's packages, in the format of `deno info --json`. */
export interface PackageGraph {
  readonly npmPackages: Readonly<
    Record<string, {
      readonly name: string;
      readonly version: string;
      readonly localPath: string;
      readonly dependencies: readonly string[];
    }>
  >;
}

/** The licences in a module graph. */
export interface Licences {
  /** Ordered by name and version. */
  readonly loaded: readonly LoadedPackage[];
  /** Names of optional packages that are not installed: they are for other platforms. */
  readonly left: readonly string[];
}

/** A required package is not installed. */
export class MissingPackageError extends Error {
  override readonly name = "MissingPackageError";
}

interface Manifest {
  readonly license?: unknown;
  readonly licenses?: unknown;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Read the licences of a graph's packages.
 *
 * @param graph The packages of a program.
 * @returns Their licences.
 * @throws {MissingPackageError} If a required one is not installed.
 */
export function licencesOf({ npmPackages }: PackageGraph): Licences {
  const all = Object.values(npmPackages).map((one) => ({ ...one, manifest: readManifest(one.localPath) }));
  const optional = new Set(all.flatMap(({ manifest }) => Object.keys(manifest?.optionalDependencies ?? {})));
  const loaded = new Map<string, LoadedPackage>();
  const left = new Set<string>();
  for (const { name, version, manifest } of all) {
    if (manifest !== undefined) {
      const licence = licenceOf(manifest);
      loaded.set(`${name}@${version}`, { name, version, ...(licence === undefined ? {} : { licence }) });
    } else if (optional.has(name)) {
      left.add(name);
    } else {
      throw new MissingPackageError(`Cannot tell the licence of ${name}@${version}: it is not in Deno's cache`);
    }
  }
  return { loaded: [...loaded.values()], left: [...left] };
}

/**
 * Whether a licence expression can be satisfied with allowed licences: one of `OR`, all of `AND`.
 *
 * @param expression An SPDX expression.
 * @param allowed The allowed licences.
 */
export function isAllowed(expression: string, allowed: ReadonlySet<string> = ALLOWED): boolean {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const one = (): boolean => {
    const token = tokens[at++];
    if (token !== "(") return token !== undefined && allowed.has(token);
    const inner = either();
    return tokens[at++] === ")" && inner;
  };
  const both = (): boolean => {
    let fits = one();
    while (tokens[at] === "AND") {
      at++;
      fits = one() && fits;
    }
    return fits;
  };
  const either = (): boolean => {
    let fits = both();
    while (tokens[at] === "OR") {
      at++;
      fits = both() || fits;
    }
    return fits;
  };
  const fits = either();
  // Remaining tokens, such as a `WITH` exception, are not supported.
  return fits && at === tokens.length;
}

function readManifest(folder: string): Manifest | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(join(folder, "package.json")));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Old packages have an object, or a list of alternatives. */
function licenceOf({ license, licenses }: Manifest): string | undefined {
  const named = [license, ...Array.isArray(licenses) ? licenses : [licenses]].flatMap((one) => {
    if (typeof one === "string") return [one];
    const { type } = (one ?? {}) as { type?: unknown };
    return typeof type === "string" ? [type] : [];
  });
  return named.length === 0 ? undefined : named.join(" OR ");
}

/** What others import of our packages, or run. */
function entryPoints(folder: string): string[] {
  const { exports } = JSON.parse(Deno.readTextFileSync(join(ROOT, folder, "deno.json")));
  return (typeof exports === "string" ? [exports] : Object.values<string>(exports)).map((path) => join(folder, path));
}

async function graphOf(program: string): Promise<PackageGraph> {
  return JSON.parse(await read(Deno.execPath(), ["info", "--json", program]));
}

if (import.meta.main) {
  const programs = [...PROGRAMS, ...PACKAGES.flatMap(entryPoints)];
  await read(Deno.execPath(), ["cache", "--quiet", ...programs]);
  const graphs = await Promise.all(programs.map(graphOf));
  const { loaded, left } = licencesOf({ npmPackages: Object.assign({}, ...graphs.map((one) => one.npmPackages)) });
  const sorted = loaded.toSorted((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  for (const { name, version, licence = "none" } of sorted) console.log(`${name} ${version} ${licence}`);
  console.log(`${loaded.length} packages; ${left.length} for other systems are not here`);
  const refused = sorted.filter(({ licence }) => licence === undefined || !isAllowed(licence));
  for (const { name, version, licence } of refused) {
    console.error(
      `${name} ${version} has ${licence === undefined ? "no licence" : `the licence "${licence}"`}. ` +
        `Allowed are ${[...ALLOWED].join(", ")}: use another package, or allow it in packaging/licences.ts`,
    );
  }
  Deno.exitCode = refused.length === 0 ? 0 : 1;
}
