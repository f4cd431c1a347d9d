/**
 * Credentials of downloads: tokens for Hugging Face, headers for any server, and what to do when a server refuses them. A
 * secret is sent to the host it is meant for and never follows a redirect to another; it appears in no error, no log and
 * no file of the store.
 */
import { isAbsolute, join } from "@std/path";
import { HF_ENDPOINT, huggingFaceRepo, isSecure } from "./reference.ts";
import { ModelStoreError } from "../store/store_error.ts";

/** Looks up an environment variable; an empty one counts as unset. */
type Env = (name: string) => string | undefined;

/** The variables that hold or locate the token for Hugging Face, and its address. */
export const HUGGING_FACE_VARIABLES: readonly string[] = [
  "HF_ENDPOINT",
  "HF_HOME",
  "HF_TOKEN",
  "HF_TOKEN_PATH",
  "HUGGING_FACE_HUB_TOKEN",
  "XDG_CACHE_HOME",
];

/** What an Authorization header may hold. */
const TOKEN = /^[\x21-\x7e]+$/;
const HEADER_NAME = /^[!#$%&'*+.^`|~\w-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** These make the request what it is. */
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
/** A token file is a line. */
const MOST_TOKEN_BYTES = 64 * 1024;

/** A header of a request. */
export type Header = readonly [name: string, value: string];

/** A token for Hugging Face. */
export interface HuggingFaceToken {
  readonly token: string;
  /** The variable or the file it is from, for messages. */
  readonly from: string;
}

/** Why there is no usable token; said when one is needed. */
export interface TokenFault {
  readonly fault: string;
}

/** Credentials. */
export interface Access {
  /** Sent with each request to the host of the address, whichever that is. */
  readonly headers?: readonly Header[] | undefined;
  /** Sent to Hugging Face only. */
  readonly huggingFace?: HuggingFaceToken | TokenFault | undefined;
  /** In the place of Hugging Face: `HF_ENDPOINT`, as it was set. */
  readonly endpoint?: string | undefined;
}

/**
 * Where Hugging Face's programs keep the token of who has logged in.
 *
 * @param env `HF_TOKEN_PATH`, `HF_HOME`, `XDG_CACHE_HOME`, `HOME`.
 * @returns The path; nothing where no place is known.
 */
export function huggingFaceTokenPath(env: Env): string | undefined {
  const own = env("HF_TOKEN_PATH");
  if (own) return own;
  const [home, xdg] = [env("HOME"), env("XDG_CACHE_HOME")];
  // A relative one means nothing, as those say who made it up.
  const cache = xdg && isAbsolute(xdg) ? xdg : home ? join(home, ".cache") : undefined;
  const folder = env("HF_HOME") || (cache === undefined ? undefined : join(cache, "huggingface"));
  return folder === undefined ? undefined : join(folder, "token");
}

/**
 * Read the token for Hugging Face from the environment, or from the file of a login.
 *
 * @param env `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, and what tells the file.
 * @returns The token; why it cannot be used, if it cannot be one or the named file cannot be read; nothing where there
 * is none.
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
    // Opening a FIFO would wait for a writer.
    const { isFile, size } = Deno.statSync(path);
    if (!isFile || size > MOST_TOKEN_BYTES) throw new Error(isFile ? "it is too long" : "it is not a file");
    return Deno.readTextFileSync(path).trim();
  } catch (error) {
    // The file is optional unless it was configured.
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
 * Read a header as a person writes it.
 *
 * @param text `Name: value`.
 * @returns The header.
 * @throws {ModelStoreError} If it is none; what it says is not repeated.
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
 * The headers with the credentials for one request.
 *
 * @param access The credentials.
 * @param asked The address that was asked for.
 * @param hop The address this request goes to: the same, or where it was redirected to.
 * @returns Headers; none for another host than the one that was asked.
 * @throws {ModelStoreError} If Hugging Face is asked, and the token cannot be used.
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

/** Whether an address is Hugging Face's, or of what takes its place. */
function isHuggingFace({ endpoint }: Access, { origin }: URL): boolean {
  return origin === HF_ENDPOINT ||
    (endpoint !== undefined && URL.canParse(endpoint) && new URL(endpoint).origin === origin);
}

/**
 * What to do about a server that refuses (401 or 403).
 *
 * @param access The credentials.
 * @param asked The address that was asked for.
 * @param hop The address that refused.
 * @param status What it said.
 * @returns A sentence; nothing where there is nothing to do.
 */
export function refusalHelp(
  access: Access | undefined,
  { asked, hop, status }: { readonly asked: URL; readonly hop: URL; readonly status: number },
): string | undefined {
  if ((status !== 401 && status !== 403) || hop.origin !== asked.origin) return undefined;
  if ((access?.headers ?? []).length > 0) return "it does not accept the given --header";
  if (!isHuggingFace(access ?? {}, asked)) {
    return "it needs credentials; pass them with inferd pull --header 'Authorization: Bearer ...'";
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
