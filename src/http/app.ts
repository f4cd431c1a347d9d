/** Routes, guards for all routes, and the error format of each API. */
import { type Context, Hono } from "hono";
import { anthropicErrorBody } from "./anthropic/error.ts";
import { countTokens } from "./anthropic/count_tokens.ts";
import { messages } from "./anthropic/messages.ts";
import { ApiError, type ErrorStatus, isUnexpected, toApiError } from "./api_error.ts";
import type { Bridge } from "./bridge.ts";
import { guard, type GuardOptions } from "./guard.ts";
import { health, metrics } from "./health.ts";
import { completion, infill } from "./llama_server/completion.ts";
import { embedding } from "./llama_server/embedding.ts";
import { llamaServerErrorBody, TOO_LONG } from "./llama_server/error.ts";
import { refusing } from "./refused.ts";
import { props, slots } from "./llama_server/state.ts";
import { applyTemplate, detokenize, tokenize } from "./llama_server/tokenizer.ts";
import { chat } from "./ollama/chat.ts";
import { embed, embeddings as ollamaEmbeddings } from "./ollama/embed.ts";
import { ollamaErrorBody } from "./ollama/error.ts";
import { generate } from "./ollama/generate.ts";
import { ps, show, tags, version } from "./ollama/models.ts";
import { pull } from "./ollama/pull.ts";
import { chatCompletions } from "./openai/chat_completions.ts";
import { completions } from "./openai/completions.ts";
import { embeddings } from "./openai/embeddings.ts";
import { openAiErrorBody } from "./openai/error.ts";
import { chatInputTokens, responseInputTokens } from "./openai/input_tokens.ts";
import { listModels, retrieveModel } from "./openai/models.ts";
import { rerank } from "./openai/rerank.ts";
import { responses } from "./openai/responses/responses.ts";
import { mountPage } from "./page/page.ts";
import { tracing } from "./tracing.ts";

export interface AppOptions extends GuardOptions {
  readonly bridge: Bridge;
  /** Receives unexpected errors, without any request content. */
  readonly onUnexpected: (error: unknown) => void;
  /** Fires when the server stops accepting requests. */
  readonly draining: AbortSignal;
}

/** Handles a request by calling the daemon. */
type Handler = (context: Context, bridge: Bridge) => Promise<Response>;

/** Why Ollama's paths that modify models are refused. */
const STORE = 'HTTP may not write models, use "inferd models", "cp", "rename", "rm" and "import" on this machine';

type Route = readonly ["GET" | "POST" | "DELETE", string, Handler];

/** llama-server's own, whose errors have its form. */
const LLAMA_SERVER: readonly Route[] = [
  ["POST", "/tokenize", tokenize],
  ["POST", "/detokenize", detokenize],
  ["POST", "/apply-template", applyTemplate],
  ["GET", "/props", props],
  ["GET", "/slots", slots],
  ["POST", "/completion", completion],
  ["POST", "/completions", completion],
  ["POST", "/embedding", embedding],
  ["POST", "/embeddings", embedding],
  ["POST", "/infill", infill],
  ["POST", "/slots/*", refusing("slots are not saved, restored or erased, the prefix cache is the daemon's own")],
  ["GET", "/lora-adapters", refusing('adapters are set with "lora" of a backend in the configuration file')],
  ["POST", "/lora-adapters", refusing('adapters are set with "lora" of a backend in the configuration file')],
];

const OWN_ROUTES: readonly Route[] = [
  ...LLAMA_SERVER,
  ["GET", "/health", health],
  ["GET", "/metrics", metrics],
  ["GET", "/v1/health", health],
  ["GET", "/v1/models", listModels],
  ["GET", "/v1/models/*", retrieveModel],
  ["POST", "/v1/chat/completions", chatCompletions],
  ["POST", "/v1/completions", completions],
  ["POST", "/v1/responses", responses],
  ["POST", "/v1/responses/input_tokens", responseInputTokens],
  ["POST", "/v1/chat/completions/input_tokens", chatInputTokens],
  ["POST", "/v1/embeddings", embeddings],
  // For clients whose base URL lacks /v1, as in llama-server. Completions and embeddings without /v1 are its own.
  ["GET", "/models", listModels],
  ["GET", "/models/*", retrieveModel],
  ["POST", "/chat/completions", chatCompletions],
  ["POST", "/responses", responses],
  ["POST", "/responses/input_tokens", responseInputTokens],
  ["POST", "/chat/completions/input_tokens", chatInputTokens],
  ["POST", "/v1/rerank", rerank],
  ["POST", "/v1/reranking", rerank],
  ["POST", "/rerank", rerank],
  ["POST", "/reranking", rerank],
  ["POST", "/v2/rerank", rerank],
  ["POST", "/v1/messages", messages],
  ["POST", "/v1/messages/count_tokens", countTokens],
  ["POST", "/api/pull", pull],
  ["DELETE", "/api/delete", refusing(STORE)],
  ["POST", "/api/copy", refusing(STORE)],
  ["POST", "/api/create", refusing(STORE)],
  ["POST", "/api/push", refusing(STORE)],
  ["POST", "/api/chat", chat],
  ["POST", "/api/generate", generate],
  ["POST", "/api/embed", embed],
  ["POST", "/api/embeddings", ollamaEmbeddings],
  ["GET", "/api/tags", tags],
  ["GET", "/api/ps", ps],
  ["POST", "/api/show", show],
  ["GET", "/api/version", version],
];

/** Groq's package puts its own prefix before OpenAI's paths. */
const ROUTES: readonly Route[] = OWN_ROUTES.flatMap(([method, path, handler]) =>
  path.startsWith("/v1/") ? [[method, path, handler], [method, `/openai${path}`, handler]] : [[method, path, handler]]
);

export function createApp(options: AppOptions): Hono {
  const { bridge } = options;
  const app = new Hono();
  app.use(guard(options));
  app.use(tracing());
  for (const [method, path, handler] of ROUTES) app.on(method, path, (context) => handler(context, bridge));
  mountPage(app, { bridge, draining: options.draining });
  app.notFound((context) => answerError(context, noRoute(context)));
  app.onError((error, context) => {
    // The client has disconnected.
    if (!context.req.raw.signal.aborted && isUnexpected(error)) options.onUnexpected(error);
    return answerError(context, error);
  });
  return app;
}

function answerError(context: Context, error: unknown): Response {
  const { status, headers } = toApiError(error);
  for (const [name, value] of Object.entries(headers)) context.header(name, value);
  return context.json(errorBody(context, error), status);
}

/** Errors have the format of the API that the path belongs to. */
function errorBody({ req }: Context, error: unknown): Record<string, unknown> {
  if (req.path.startsWith("/api/")) return ollamaErrorBody(error);
  const isAnthropic = req.path.startsWith("/v1/messages") || req.header("anthropic-version") !== undefined;
  if (isAnthropic) return anthropicErrorBody(error);
  if (LLAMA_SERVER.some((route) => leadsTo(route, req.path))) return llamaServerErrorBody(error);
  // Only llama-server has OpenAI's paths without the version.
  return req.path.includes("/v1/") ? openAiErrorBody(error) : openAiErrorBody(error, TOO_LONG);
}

function leadsTo([, path]: Route, asked: string): boolean {
  return path.endsWith("/*") ? asked.startsWith(path.slice(0, -1)) : path === asked;
}

function noRoute(context: Context): ApiError {
  const { req } = context;
  const route = ROUTES.find((route) => leadsTo(route, req.path));
  const status: ErrorStatus = route === undefined ? 404 : 405;
  if (route !== undefined) context.header("Allow", route[0] === "GET" ? "GET, HEAD" : route[0]);
  const there = route === undefined ? "no such path" : `this path takes ${route[0]}`;
  return new ApiError(status, `Cannot ${req.method} ${req.path}: ${there}`, { code: "unknown_url" });
}
