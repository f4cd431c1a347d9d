/**
 * Checks remote servers: the proxy used, whether they answer, accept the key and have the model. Requests only their
 * model list, which is free.
 */
import type { DaemonOptions, OpenAiBackendConfig } from "../../config/options.ts";
import { createHttpClient, proxyFor } from "../../backend/openai/http_client.ts";
import { didYouMean } from "../../config/setting/closest.ts";
import { errorText } from "../../log/error_text.ts";
import { type Finding, Findings } from "./finding.ts";

const TIMEOUT_MS = 5000;
/** Larger than any model list. */
const MOST_BYTES = 4 * 1024 * 1024;
const MOST_NAMES = 5;

/** @param ask Queries a server; for tests. */
export async function checkRemotes(
  { backends }: DaemonOptions,
  ask: (backend: OpenAiBackendConfig) => Promise<RemoteAnswer> = askForModels,
): Promise<readonly Finding[]> {
  const findings = new Findings("remote backends");
  const remotes = backends.filter((backend) => backend.kind === "openai-compat");
  const isAlone = remotes.length === backends.length;
  const answers = await Promise.all(remotes.map(async (backend) => [backend, await ask(backend)] as const));
  for (const [backend, answer] of answers) {
    checkProxy(backend, findings);
    // A failure only if no other backend can serve.
    checkAnswer(backend, answer, isAlone ? findings.fail.bind(findings) : findings.warn.bind(findings));
  }
  return findings.list;
}

function checkProxy(backend: OpenAiBackendConfig, findings: Findings): void {
  const { host, hostname } = new URL(backend.baseUrl);
  const proxy = proxyFor(backend);
  if (proxy !== undefined) {
    findings.ok(`Backend "${backend.name}" is reached at "${host}" through the proxy "${new URL(proxy).host}"`);
  } else if (backend.proxy !== undefined) {
    findings.warn(
      `Backend "${backend.name}" does not use its proxy: "${hostname}" is on this machine or in a private network`,
      'Remove "proxy", or give a name that the proxy resolves as the host of "base_url"',
    );
  } else {
    findings.ok(`Backend "${backend.name}" is reached at "${host}" directly; the environment's proxies are not used`);
  }
}

export type RemoteAnswer =
  | { readonly unreachable: string }
  | {
    readonly status: number;
    /** Undefined if it does not list its models. */
    readonly models?: readonly string[];
  };

function checkAnswer(
  { name, baseUrl, model, apiKeyEnv }: OpenAiBackendConfig,
  answer: RemoteAnswer,
  report: (message: string, help: string) => void,
): void {
  if ("unreachable" in answer) {
    report(
      `Backend "${name}" cannot be reached at "${baseUrl}": ${answer.unreachable}`,
      'Start the server, or correct "base_url"',
    );
  } else if (answer.status === 401 || answer.status === 403) {
    const key = apiKeyEnv === undefined
      ? "It requires a key: name its variable with"
      : `Correct the key in ${apiKeyEnv}, or`;
    report(`Backend "${name}" refuses to answer: status ${answer.status}`, `${key} "api_key_env"`);
  } else if (answer.models !== undefined && !answer.models.includes(model)) {
    const { models } = answer;
    const some = models.slice(0, MOST_NAMES).map((one) => `"${one}"`).join(", ");
    report(
      `Backend "${name}" has no model "${model}"${didYouMean(model, models)}`,
      models.length === 0 ? "Load the model on that server" : `Set "model" to one that it has: ${some}`,
    );
  }
}

async function askForModels({ baseUrl, apiKey, ...backend }: OpenAiBackendConfig): Promise<RemoteAnswer> {
  const proxy = proxyFor({ baseUrl, ...backend });
  using client = createHttpClient({ keepAlive: false, ...(proxy === undefined ? {} : { proxy }) });
  try {
    const response = await fetch(`${baseUrl}/models`, {
      client,
      redirect: "manual",
      headers: apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { status } = response;
    const length = Number(response.headers.get("content-length") ?? 0);
    if (!response.ok || length > MOST_BYTES) {
      await response.body?.cancel();
      return { status };
    }
    const models = namesIn(await response.json().catch(() => undefined));
    return { status, ...models === undefined ? {} : { models } };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const isSlow = error instanceof DOMException && error.name === "TimeoutError";
    return { unreachable: isSlow ? `it does not answer within ${TIMEOUT_MS / 1000} s` : reasonOf(error) };
  }
}

/** `fetch` reports only that it failed; the reason is in the cause. */
function reasonOf(error: unknown): string {
  return errorText(error instanceof Error && error.cause instanceof Error ? error.cause : error);
}

/** Model names in OpenAI's list format. */
function namesIn(value: unknown): readonly string[] | undefined {
  if (typeof value !== "object" || value === null || !("data" in value) || !Array.isArray(value.data)) return undefined;
  return value.data.flatMap((one: unknown) =>
    typeof one === "object" && one !== null && "id" in one && typeof one.id === "string" ? [one.id] : []
  );
}
