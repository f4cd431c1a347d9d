/**
 * Ollama's `/api/pull`. A served model is reported as present, and a download by the daemon is followed. Any other
 * model is downloaded if the operator has allowed it, by a worker: what reads client input may neither write models nor
 * reach other hosts.
 */
import type { Context } from "hono";
import { z } from "zod";
import type { AdminEvent } from "@inferd/client";
import { ApiError, invalid } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import type { DaemonLink } from "../daemon_link.ts";
import { JSON_LINES, streamed } from "../event_stream.ts";
import type { PullLine } from "../model_store.ts";
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

export async function pull(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const name = asked.model || asked.name;
  if (!name) throw invalid("model", "must be the name of a model");
  const lines = progress(bridge, name.replace(/:latest$/, ""), context.req.raw.signal);
  if (asked.stream ?? true) {
    return await streamed(context, toText(lines), {
      contentType: JSON_LINES,
      onError: (error) => `${JSON.stringify(ollamaErrorBody(error))}\n`,
    });
  }
  let last: PullLine | undefined;
  for await (const line of lines) last = line;
  return context.json(last);
}

async function* toText(lines: AsyncIterable<PullLine>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`;
}

async function* progress({ link, store }: Bridge, name: string, signal: AbortSignal): AsyncGenerator<PullLine> {
  const reference = hubReference(name);
  // Downloading needs no daemon.
  const found = await look(link, name).catch((error) => {
    if (store === undefined) throw error;
    return "absent" as const;
  });
  if (found === "absent" || (found === "loading" && reference !== undefined)) {
    if (store === undefined) throw notServed(name, link);
    yield* store.pull(reference ?? name, signal);
    return;
  }
  yield { status: "pulling manifest" };
  if (found === "loading") {
    for await (const event of link.admin.watch({ signal })) {
      if (event.status === "ready") break;
      const line = lineOf(event, name);
      if (line !== undefined) yield line;
    }
    if (!await isServed(link, name)) throw notServed(name, link);
  }
  yield { status: "success" };
}

/** Whether the daemon serves the model; a daemon that loads may be about to. */
async function look(link: DaemonLink, name: string): Promise<"served" | "loading" | "absent"> {
  if (await isServed(link, name)) return "served";
  const { status } = await link.snapshot();
  return status.status === "starting" || status.status === "loading_model" ? "loading" : "absent";
}

function lineOf(event: AdminEvent, name: string): PullLine | undefined {
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
    `model ${
      JSON.stringify(name)
    } is not served, and HTTP clients may not download models ("http_pull"): ${run}. Then ` +
      'name the model in "backends" of the configuration file and send the daemon SIGHUP',
    { code: "model_not_found" },
  );
}

/** Converts Ollama's name of a Hugging Face repository (`hf.co/OWNER/REPO:QUANT`) to that of `inferd pull`. */
function hubReference(name: string): string | undefined {
  // No shell metacharacters: people paste the command.
  const [, path] =
    /^(?:hf\.co\/|huggingface\.co\/|hf:)([\w.-]+\/[\w.-]+(?::[\w.-]+|(?:\/[\w.-]+)+\.gguf)?)$/i.exec(name) ?? [];
  return path === undefined ? undefined : `hf:${path}`;
}
