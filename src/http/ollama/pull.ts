/**
 * Ollama's `/api/pull`. Processes that read client input may neither write models nor reach other hosts, and a ready
 * daemon has dropped both permissions. So a served model is reported as present, a download by the daemon is followed,
 * and any other pull is left to the operator.
 */
import type { Context } from "hono";
import { z } from "zod";
import type { AdminEvent } from "@inferd/client";
import { ApiError, invalid } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import type { DaemonLink } from "../daemon_link.ts";
import { JSON_LINES, streamed } from "../event_stream.ts";
import { ollamaErrorBody } from "./error.ts";

const body = z.strictObject({
  // Go's client sends every field, deprecated ones empty.
  model: z.string().nullish(),
  name: z.string().nullish(),
  username: z.literal("", "must be empty: nobody logs in here").nullish(),
  password: z.literal("", "must be empty: nobody logs in here").nullish(),
  stream: z.boolean().nullish(),
  insecure: z.literal(false, "must be false: models are downloaded over https only").nullish(),
});

type Line = Readonly<Record<string, unknown>>;

/**
 * Answer a request.
 *
 * @param context The request.
 * @param bridge The link to the daemon.
 */
export async function pull(context: Context, { link }: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const name = asked.model || asked.name;
  if (!name) throw invalid("model", "must be the name of a model");
  const lines = progress(link, name.replace(/:latest$/, ""), context.req.raw.signal);
  if (asked.stream ?? true) {
    return await streamed(toText(lines), {
      contentType: JSON_LINES,
      onError: (error) => `${JSON.stringify(ollamaErrorBody(error))}\n`,
    });
  }
  let last: Line = {};
  for await (const line of lines) last = line;
  return context.json(last);
}

async function* toText(lines: AsyncIterable<Line>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`;
}

async function* progress(link: DaemonLink, name: string, signal: AbortSignal): AsyncGenerator<Line> {
  if (!await isServed(link, name)) {
    const { status } = await link.snapshot();
    if (status.status !== "starting" && status.status !== "loading_model") throw notServed(name, link);
    yield { status: "pulling manifest" };
    for await (const event of link.watch(signal)) {
      if (event.status === "ready") break;
      const line = lineOf(event, name);
      if (line !== undefined) yield line;
    }
    if (!await isServed(link, name)) throw notServed(name, link);
  } else {
    yield { status: "pulling manifest" };
  }
  yield { status: "success" };
}

function lineOf(event: AdminEvent, name: string): Line | undefined {
  if (event.status !== "loading_model") return undefined;
  if (event.phase === "verify") return { status: "verifying sha256 digest" };
  if (event.phase !== "download") return undefined;
  return {
    status: `pulling ${name}`,
    ...(event.totalBytes === null ? {} : { total: event.totalBytes }),
    completed: event.downloadedBytes,
  };
}

async function isServed(link: DaemonLink, name: string): Promise<boolean> {
  const wanted = link.aliases.get(name) ?? name;
  const models = await link.models();
  return models.some((model) => model.name === wanted || model.backends.some(({ backend }) => backend === wanted));
}

/** Gives the exact command to run if the name identifies the model's source. */
function notServed(name: string, { pullCommand }: DaemonLink): ApiError {
  const reference = hubReference(name);
  const run = reference === undefined
    ? `run "${pullCommand} hf:OWNER/REPO:QUANTISATION", with a repository of GGUF files on Hugging Face; Ollama's ` +
      "library is not known here"
    : `run "${pullCommand} ${reference}"`;
  return new ApiError(
    404,
    `model ${JSON.stringify(name)} is not served, and HTTP may not write models: ${run}. Then name the ` +
      'model in "backends" of the configuration file and send the daemon SIGHUP',
    { code: "model_not_found" },
  );
}

/** Converts Ollama's name of a Hugging Face repository (`hf.co/OWNER/REPO:QUANT`) to that of `inferd pull`. */
function hubReference(name: string): string | undefined {
  // No shell metacharacters: people paste the command.
  const [, repo, quantisation = ""] = /^(?:hf\.co\/|huggingface\.co\/|hf:)([\w.-]+\/[\w.-]+)(:[\w.-]+)?$/i.exec(name) ??
    [];
  return repo === undefined ? undefined : `hf:${repo}${quantisation}`;
}
