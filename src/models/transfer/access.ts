/**
 * Download credentials: Hugging Face tokens, headers for any server, and advice when a server rejects them. A secret
 * goes only to the host it is meant for and never follows a redirect; it never appears in errors, logs or the store.
 */
import { isAbsolute, join } from "node:path";
import { HF_ENDPOINT, huggingFaceRepo, isSecure } from "./reference.ts";
import { ModelStoreError } from "../store/store_error.ts";

/** Reads an environment variable; an empty one counts as unset. */
type Env = (name: string) => string | undefined;

/** Variables that set or locate the Hugging Face token, and its endpoint. */
export const HUGGING_FACE_VARIABLES: readonly string[] = [
  "HF_ENDPOINT",
  "HF_HOME",
  "HF_TOKEN",
  "HF_TOKEN_PATH",
  "HUGGING_FACE_HUB_TOKEN",
  "XDG_CACHE_HOME",
];

/** Characters allowed in an Authorization header. */
const TOKEN = /^[\x21-\x7e]+$/;
const HEADER_NAME = /^[!#$%&'*+.^`|~\w-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Headers that inferd sets itself. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "host",
  "if-range",
  "range",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const MOST_TOKEN_BYTES = 64 * 1024;

export type Header = readonly [name: string, value: string];

export interface HuggingFaceToken {
  readonly token: string;
  /** The variable or file it comes from, for messages. */
  readonly from: string;
}

/** Why there is no usable token; reported when one is needed. */
export interface TokenFault {
  readonly fault: string;
}

/** Download credentials. */
export interface Access {
  /** Sent with every request to the host of the URL. */
  readonly headers?: readonly Header[] | undefined;
  /** Sent to Hugging Face only. */
  readonly huggingFace?: HuggingFaceToken | TokenFault | undefined;
  /** Value of `HF_ENDPOINT`, which replaces huggingface.co. */
  readonly endpoint?: string | undefined;
}

/**
 * Path of the token file written by `hf auth login`.
 *
 * @param env Provides `HF_TOKEN_PATH`, `HF_HOME`, `XDG_CACHE_HOME`, `HOME`.
 * @returns The path; nothing if no variable locates it.
 */
export function huggingFaceTokenPath(env: Env): string | undefined {
  const own = env("HF_TOKEN_PATH");
  if (own) return own;
  const [home, xdg] = [env("HOME"), env("XDG_CACHE_HOME")];
  // The XDG specification says to ignore relative paths.
  const cache = xdg && isAbsolute(xdg) ? xdg : home ? join(home, ".cache") : undefined;
  const folder = env("HF_HOME") || (cache === undefined ? undefined : join(cache, "huggingface"));
  return folder === undefined ? undefined : join(folder, "token");
}

/**
 * Read the Hugging Face token from the environment or the token file.
 *
 * @param env Provides `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN` and the variables that locate the file.
 * @returns The token; the reason if it is invalid or the configured file cannot be read; nothing if there is none.
 */
export function readHuggingFaceToken(env: Env): HuggingFaceToken | TokenFault | undefined {
  try {
    return findToken(env);
  } catch (error) {
    if (error instanceof ModelStoreError) return { fault: error.message };
    throw error;
  }
}

function findToken(env: Env): HuggingFaceToken | undefined {
  for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const token = env(name)?.trim();
    if (token) return checkToken({ token, from: name });
  }
  const path = huggingFaceTokenPath(env);
  const token = path === undefined ? undefined : readTokenFile(path, Boolean(env("HF_TOKEN_PATH")));
  return path === undefined || !token ? undefined : checkToken({ token, from: `"${path}"` });
}

function readTokenFile(path: string, named: boolean): string | undefined {
  try {
    // Opening a FIFO would block until there is a writer.
    const { isFile, size } = Deno.statSync(path);
    if (!isFile || size > MOST_TOKEN_BYTES) throw new Error(isFile ? "it is too long" : "it is not a file");
    return Deno.readTextFileSync(path).trim();
  } catch (error) {
    // The file is optional unless configured.
    if (!named) return undefined;
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message;
    throw new ModelStoreError("bad_reference", `Cannot read the token of HF_TOKEN_PATH, "${path}": ${reason}`);
  }
}

function checkToken(found: HuggingFaceToken): HuggingFaceToken {
  if (TOKEN.test(found.token)) return found;
  throw new ModelStoreError("bad_reference", `The token of ${found.from} must be a single word of ASCII characters`);
}

/**
 * @param text `Name: value`.
 * @throws {ModelStoreError} If it is invalid; the message does not repeat the value.
 */
export function parseHeader(text: string): Header {
  const colon = text.indexOf(":");
  const [name, value] = [text.slice(0, Math.max(0, colon)).trim(), text.slice(colon + 1).trim()];
  if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
    throw new ModelStoreError("bad_reference", "A header must be 'Name: value' on one line");
  }
  if (OWN_HEADERS.has(name.toLowerCase())) {
    throw new ModelStoreError("bad_reference", `The header "${name}" cannot be set: inferd sets it itself`);
  }
  return [name, value];
}

/**
 * Credential headers for one request.
 *
 * @param hop The URL of this request: the same, or a redirect target.
 * @returns Headers; none for another origin.
 * @throws {ModelStoreError} If it goes to Hugging Face and the token cannot be used.
 */
export function accessHeaders(access: Access | undefined, asked: URL, hop: URL): readonly Header[] {
  if (access === undefined || hop.origin !== asked.origin || !isSecure(hop)) return [];
  const own = access.headers ?? [];
  const { huggingFace } = access;
  const says = own.some(([name]) => name.toLowerCase() === "authorization");
  if (huggingFace === undefined || says || !isHuggingFace(access, asked)) return own;
  if ("fault" in huggingFace) throw new ModelStoreError("bad_reference", huggingFace.fault);
  return [...own, ["authorization", `Bearer ${huggingFace.token}`]];
}

/** Whether a URL is Hugging Face's or its replacement's. */
function isHuggingFace({ endpoint }: Access, { origin }: URL): boolean {
  return origin === HF_ENDPOINT ||
    (endpoint !== undefined && URL.canParse(endpoint) && new URL(endpoint).origin === origin);
}

/**
 * Advice for a 401 or 403 response.
 *
 * @returns A sentence, if there is advice.
 */
export function refusalHelp(
  access: Access | undefined,
  { asked, hop, status }: { readonly asked: URL; readonly hop: URL; readonly status: number },
): string | undefined {
  if ((status !== 401 && status !== 403) || hop.origin !== asked.origin) return undefined;
  if ((access?.headers ?? []).length > 0) return "it does not accept the given --header";
  if (!isHuggingFace(access ?? {}, asked)) {
    return "it needs credentials; pass them with --header 'Authorization: Bearer ...'";
  }
  const repo = huggingFaceRepo(asked);
  const page = repo === undefined ? asked.origin : `${asked.origin}/${repo}`;
  const tokens = `${asked.origin}/settings/tokens`;
  const token = access?.huggingFace;
  if (token === undefined || "fault" in token) {
    return `the model is gated, private or does not exist; request access at ${page}, create a token at ${tokens} and ` +
      "set HF_TOKEN to it";
  }
  return status === 401
    ? `it does not accept the token from ${token.from}; create another one at ${tokens}`
    : `the token from ${token.from} has no access to it; request access at ${page} with the account of that token`;
}
