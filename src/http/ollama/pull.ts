/**
 * Ollama's `/api/pull`. The bridge may not write models: a model that is served is there already, one that the daemon is
 * fetching is followed, and any other is the operator's to pull.
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
  model: z.string().min(1).nullish(),
  name: z.string().min(1).nullish(),
  stream: z.boolean().nullish(),
  insecure: z.literal(false, "must be false: models come over https alone").nullish(),
});

type Line = Readonly<Record<string, unknown>>;

/**
 * Answer a request.
 *
 * @param context The request.
 * @param bridge Knows the daemon.
 */
export async function pull(context: Context, { link }: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const name = asked.model ?? asked.name;
  if (name === null || name === undefined) throw invalid("model", "must be the name of a model");
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

function notServed(name: string, { pullCommand }: DaemonLink): ApiError {
  return new ApiError(
    404,
    `model ${
      JSON.stringify(name)
    } is not served, and HTTP may not write models: run "${pullCommand}" on this machine and ` +
      "name the model in the daemon's configuration",
    { code: "model_not_found" },
  );
}
