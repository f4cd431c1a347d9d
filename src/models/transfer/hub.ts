/**
 * Lists the GGUF files of a Hugging Face repository by quantisation, and chooses the one that suits this machine.
 * `pull.ts` downloads files.
 */
import { format as formatBytes } from "@std/fmt/bytes";
import { isSha256 } from "../file/sha256.ts";
import { readShardName } from "../file/shards.ts";
import { ModelStoreError } from "../store/store_error.ts";
import { type Access, accessHeaders, refusalHelp } from "./access.ts";
import { HF_ENDPOINT, isSecure } from "./reference.ts";
import { isSafeRedirect } from "./transfer.ts";

/** Share of the machine's memory for weights; the context and other programs need the rest. */
const MEMORY_SHARE = 0.7;
/** Preferred quantisation: a quarter of the 16-bit size at nearly the same quality. */
const USUAL = "Q4_K_M";
/** More bits cost memory and speed and gain little. */
const MOST_BITS = 8;
const MAX_REDIRECTS = 5;
const MAX_PAGES = 20;
const TIMEOUT_MS = 30_000;
const QUANTISATION = /(?:^|[-._])((?:UD-)?(?:I?Q\d\w*|TQ\d_\d|BF16|F16|FP16|F32|FP32|MXFP4\w*|NVFP4))(?=[-._]|$)/gi;

/** `hf:owner/repo[:quantisation][@revision]`. */
export interface RepositoryReference {
  readonly repo: string;
  /** As written. */
  readonly quantisation: string | undefined;
  readonly revision: string;
}

/** One model of a repository: a file, or all files of a split one. */
export interface HubFile {
  /** First file, if split. */
  readonly path: string;
  readonly quantisation: string | undefined;
  /** Total of all files. */
  readonly sizeBytes: number;
  /** Hash, lower-case hex; absent if split, or not stated. */
  readonly sha256?: string | undefined;
}

export interface HubOptions {
  readonly access: Access;
  readonly signal?: AbortSignal | undefined;
}

/** @returns The repository; nothing if it is another kind of reference. */
export function parseRepository(text: string): RepositoryReference | undefined {
  const [, owner, repo, quantisation, revision = "main"] =
    /^hf:([\w.-]+)\/([\w.-]+)(?::([\w.-]+))?(?:@([^@]+))?$/.exec(text) ?? [];
  if (owner === undefined || repo === undefined) return undefined;
  if ([owner, repo, ...revision.split("/")].some((part) => /^\.{0,2}$/.test(part))) return undefined;
  return { repo: `${owner}/${repo}`, quantisation, revision };
}

/**
 * Choose a file: the requested quantisation, or the one that suits the machine.
 *
 * @throws {ModelStoreError} If the repository cannot be listed, or nothing in it fits.
 */
export async function chooseFile(
  reference: RepositoryReference,
  memoryBytes: number,
  options: HubOptions,
): Promise<HubFile & { readonly reference: string }> {
  const { repo, revision, quantisation } = reference;
  const files = await listFiles(reference, options);
  const chosen = quantisation === undefined
    ? fitting(files, { memoryBytes, repo })
    : named(files, { quantisation, repo });
  return { ...chosen, reference: `hf:${repo}/${chosen.path}@${revision}` };
}

function named(files: readonly HubFile[], { quantisation, repo }: { quantisation: string; repo: string }): HubFile {
  const wanted = quantisation.toUpperCase();
  const found = files.find((file) => file.quantisation === wanted);
  if (found !== undefined) return found;
  throw new ModelStoreError("not_found", `"${repo}" has no quantisation "${quantisation}"; it has ${listed(files)}`);
}

function fitting(files: readonly HubFile[], { memoryBytes, repo }: { memoryBytes: number; repo: string }): HubFile {
  const bySize = files.toSorted((one, other) => other.sizeBytes - one.sizeBytes);
  const fit = bySize.filter(({ sizeBytes }) => sizeBytes <= memoryBytes * MEMORY_SHARE);
  const chosen = fit.find((file) => file.quantisation === USUAL) ??
    fit.find((file) => bits(file) <= MOST_BITS) ?? fit.at(-1);
  if (chosen !== undefined) return chosen;
  const least = bySize.at(-1);
  const memory = formatBytes(memoryBytes, { binary: true });
  const size = formatBytes(least?.sizeBytes ?? 0, { binary: true });
  throw new ModelStoreError(
    "too_large",
    `No file of "${repo}" fits this machine: it has ${memory} of memory, and the smallest file ` +
      `(${least?.quantisation ?? least?.path}) has ${size}. Choose a smaller model, or name the file`,
  );
}

/** Approximate bits per weight; 16 if the name does not say. */
function bits({ quantisation }: HubFile): number {
  return Number(/(?:^|-)I?T?Q(\d)/.exec(quantisation ?? "")?.[1] ?? (/FP4/.test(quantisation ?? "") ? 4 : 16));
}

function listed(files: readonly HubFile[]): string {
  return files.map(({ quantisation, path }) => quantisation ?? path).join(", ");
}

/**
 * List the models of a repository.
 *
 * @returns At least one file.
 * @throws {ModelStoreError} If there are none, or they cannot be listed.
 */
export async function listFiles(
  { repo, revision }: RepositoryReference,
  { access, signal }: HubOptions,
): Promise<readonly HubFile[]> {
  const what = `Cannot list "hf:${repo}"`;
  const endpoint = access.endpoint ?? HF_ENDPOINT;
  if (!URL.canParse(endpoint) || !isSecure(new URL(endpoint))) {
    throw new ModelStoreError("insecure", `HF_ENDPOINT must be an https URL, got "${endpoint}"`);
  }
  const path = `api/models/${repo}/tree/${encodeURIComponent(revision)}?recursive=true`;
  let next: URL | undefined = new URL(`${endpoint.replace(/\/+$/, "")}/${path}`);
  const files: ListedFile[] = [];
  for (let page = 0; next !== undefined && page < MAX_PAGES; page++) {
    const { response } = await askHub(next, { access, signal, what });
    let entries: unknown;
    try {
      entries = await response.json();
    } catch {
      throw new ModelStoreError("http", `${what}: the server does not answer with JSON`);
    }
    files.push(...readEntries(entries));
    const link: string | undefined = /<([^>]+)>\s*;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
    const following: URL | undefined = link === undefined ? undefined : new URL(link, next);
    next = following?.origin === next.origin ? following : undefined;
  }
  const models = groupShards(files);
  if (models.length === 0) {
    throw new ModelStoreError("not_found", `"${repo}" has no GGUF files; name another repository`);
  }
  return models;
}

type ListedFile = Pick<HubFile, "path" | "sizeBytes" | "sha256">;

interface ListedEntry {
  readonly path?: unknown;
  readonly size?: unknown;
  readonly lfs?: { readonly oid?: unknown } | null;
}

function readEntries(entries: unknown): ListedFile[] {
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: ListedEntry | null) => {
    const { path, size, lfs } = entry ?? {};
    if (typeof path !== "string" || typeof size !== "number" || !/\.gguf$/i.test(path)) return [];
    // Projectors and importance matrices are not models.
    return /(?:^|[/._-])(?:mmproj|imatrix)/i.test(path)
      ? []
      : [{ path, sizeBytes: size, sha256: readSha256(lfs?.oid) }];
  });
}

function readSha256(text: unknown): string | undefined {
  return typeof text === "string" && isSha256(text) ? text : undefined;
}

function groupShards(files: readonly ListedFile[]): HubFile[] {
  const models = new Map<string, HubFile>();
  for (const { path, sizeBytes, sha256 } of files.toSorted((one, other) => one.path < other.path ? -1 : 1)) {
    const stem = readShardName(path)?.prefix ?? path.replace(/\.gguf$/i, "");
    const known = models.get(stem);
    models.set(stem, {
      path: known?.path ?? path,
      quantisation: quantisationOf(stem),
      sizeBytes: (known?.sizeBytes ?? 0) + sizeBytes,
      sha256: known === undefined ? sha256 : undefined,
    });
  }
  return [...models.values()];
}

/** Quantisation in a file name, in upper case. */
export function quantisationOf(name: string): string | undefined {
  return [...(name.split("/").at(-1) ?? "").matchAll(QUANTISATION)].at(-1)?.[1]?.toUpperCase();
}

/**
 * Send a small request to a hub. Credentials go only to the original host.
 *
 * @param options Credentials, further headers, and the start of error messages.
 * @returns The response, with status 200 or 206, and its final URL.
 * @throws {ModelStoreError} If the request fails.
 */
export async function askHub(
  asked: URL,
  { access, signal, what, headers: more = {} }: HubOptions & {
    readonly what: string;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Promise<{ readonly response: Response; readonly from: URL }> {
  let hop = asked;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const headers = new Headers([...accessHeaders(access, asked, hop).map(([a, b]): [string, string] => [a, b])]);
    for (const [name, value] of Object.entries(more)) headers.set(name, value);
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    let response: Response;
    try {
      response = await fetch(hop, {
        headers,
        redirect: "manual",
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw new ModelStoreError("http", `${what}: ${hop.host} cannot be reached`, { cause: error });
    }
    const { status } = response;
    if (status === 200 || status === 206) return { response, from: hop };
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (status >= 300 && status < 400 && location !== null && URL.canParse(location, hop)) {
      const to = new URL(location, hop);
      if (!isSafeRedirect(hop, to)) {
        throw new ModelStoreError("insecure", `${what}: it redirects to an insecure address`);
      }
      hop = to;
      continue;
    }
    const help = refusalHelp(access, { asked, hop, status });
    const reason = help ?? (status === 404 ? "check its name and revision" : undefined);
    throw new ModelStoreError(
      "http",
      `${what}: the server answers ${status}${reason === undefined ? "" : `: ${reason}`}`,
      { status },
    );
  }
  throw new ModelStoreError("http", `${what}: more than ${MAX_REDIRECTS} redirects`);
}
