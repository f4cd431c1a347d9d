/** Parses model references: `hf:` references and URLs. Makes no requests. */
import { isLoopback } from "@inferd/client/protocol";
import { isModelName } from "../store/layout.ts";
import type { ModelSource } from "../store/manifest.ts";
import { readShardName } from "../file/shards.ts";
import { ModelStoreError } from "../store/store_error.ts";

const HF_PREFIX = "hf:";
const HF_FORMS = "hf:OWNER/REPO[:QUANT] or hf:OWNER/REPO/FILE.gguf[@REVISION]";
export const HF_ENDPOINT = "https://huggingface.co";
const DEFAULT_REVISION = "main";

/** Location of a model, and its default name in the store. */
export interface ModelReference {
  readonly url: URL;
  /** Derived from the file's name. */
  readonly name: string;
  readonly source: ModelSource;
}

/**
 * Parse a reference: `hf:owner/repo/file.gguf[@revision]` (default `main`), or a URL.
 *
 * @param env For `HF_ENDPOINT`, which replaces `https://huggingface.co`.
 * @throws {ModelStoreError} If it is invalid or insecure.
 */
export function parseReference(text: string, env: (name: string) => string | undefined): ModelReference {
  if (text.startsWith(HF_PREFIX)) return huggingFace(text, env("HF_ENDPOINT") || HF_ENDPOINT);
  if (!URL.canParse(text)) {
    throw new ModelStoreError("bad_reference", `Unknown reference "${text}": use an https URL, ${HF_FORMS}`);
  }
  const url = new URL(text);
  checkModelUrl(url);
  return { url, name: nameOfModelFile(url.pathname), source: sourceOfUrl(url) };
}

/**
 * Check that a URL may be pulled: https, or plain http on this machine, and no password, because URLs are shown and
 * recorded.
 *
 * @throws {ModelStoreError} If it may not.
 */
export function checkModelUrl(url: URL): void {
  if (!isSecure(url)) {
    throw new ModelStoreError(
      "insecure",
      `Cannot pull "${shownUrl(url)}": it must be an https URL (plain http is for this machine only)`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new ModelStoreError("bad_reference", `Cannot pull "${shownUrl(url)}": the URL must not contain a password`);
  }
}

/** Whether the transport protects integrity. */
export function isSecure(url: URL): boolean {
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

/** A URL for messages, without query and password. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Repository of a Hugging Face URL, `owner/repo`. */
export function huggingFaceRepo(url: URL): string | undefined {
  return /\/([^/]+\/[^/]+)\/(?:resolve|blob|raw)\//.exec(url.pathname)?.[1];
}

/** Origin of a file, for the manifest. */
export function sourceOfUrl(url: URL): ModelSource {
  const parts = segments(url.pathname);
  const [owner, repo, kind, revision, ...file] = parts;
  if (
    url.origin === HF_ENDPOINT && owner && repo && (kind === "resolve" || kind === "blob") && revision &&
    file.length > 0
  ) {
    return { registry: "huggingface", repo: `${owner}/${repo}`, revision, filename: file.join("/") };
  }
  return {
    registry: url.host,
    repo: parts.slice(0, -1).join("/") || null,
    revision: null,
    filename: parts.at(-1) ?? null,
  };
}

/**
 * URL to fetch a model again.
 *
 * @param env For `HF_ENDPOINT`.
 * @returns The URL; nothing if it was a local file, or is unknown.
 */
export function urlOfSource(source: ModelSource | null, env: (name: string) => string | undefined): URL | undefined {
  const { registry = null, repo = null, revision, filename = null } = source ?? {};
  if (registry === null || filename === null) return undefined;
  if (registry === "huggingface") {
    return repo === null
      ? undefined
      : parseReference(`hf:${repo}/${filename}@${revision ?? DEFAULT_REVISION}`, env).url;
  }
  // A host has a dot or a port, or is localhost.
  if (!/[.:]|^localhost$/.test(registry) || !URL.canParse(`https://${registry}`)) return undefined;
  const path = [repo, filename].filter((part) => part !== null).join("/").split("/").map(encodeURIComponent).join("/");
  const scheme = isLoopback(new URL(`https://${registry}`).hostname) ? "http" : "https";
  return new URL(`${scheme}://${registry}/${path}`);
}

/**
 * Default name of a model file in the store.
 *
 * @param path A path, or the path of a URL.
 * @returns The file name without `.gguf` and shard numbers; invalid characters become dashes.
 */
export function nameOfModelFile(path: string): string {
  const file = segments(path).at(-1) ?? "";
  return asModelName(readShardName(file)?.prefix ?? file.replace(/\.gguf$/i, ""));
}

/** The closest valid model name. */
export function asModelName(text: string): string {
  const name = text.replaceAll(/[^A-Za-z0-9._-]+/g, "-").replaceAll(/\.{2,}/g, ".").replace(/^[.-]+/, "").slice(0, 128);
  return isModelName(name) ? name : "model";
}

function huggingFace(text: string, endpoint: string): ModelReference {
  const [, owner, repo, file, revision = DEFAULT_REVISION] =
    /^hf:([\w.-]+)\/([\w.-]+)\/([^@]+?)(?:@([^@]+))?$/.exec(text) ?? [];
  const parts = file?.split("/") ?? [];
  const wrong = [owner, repo, ...parts, ...revision.split("/")].some((part) =>
    part === undefined || part === "" || part === "." || part === ".."
  );
  if (owner === undefined || repo === undefined || file === undefined || wrong) {
    throw new ModelStoreError("bad_reference", `Unknown reference "${text}": use ${HF_FORMS}`);
  }
  if (!/\.gguf$/i.test(file)) {
    throw new ModelStoreError("bad_reference", `Unknown reference "${text}": the file must be a .gguf file`);
  }
  if (!URL.canParse(endpoint)) {
    throw new ModelStoreError("bad_reference", `HF_ENDPOINT must be a URL, got "${endpoint}"`);
  }
  const path = parts.map(encodeURIComponent).join("/");
  const url = new URL(
    `${endpoint.replace(/\/+$/, "")}/${owner}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`,
  );
  checkModelUrl(url);
  return {
    url,
    name: nameOfModelFile(file),
    source: { registry: "huggingface", repo: `${owner}/${repo}`, revision, filename: file },
  };
}

function segments(path: string): string[] {
  return path.split(/[/\\]/).filter((part) => part !== "").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}
