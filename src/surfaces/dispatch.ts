/**
 * Dispatch: the fields of a request, its addressee, the verbs, and how their results are written. Model requests of a
 * verb go through the same surfaces and pipelines as any other request. Framing and sockets belong to
 * `server/dispatch_connection.ts`, the text of `ops` to `ops.ts`.
 */
import {
  type DispatchRequest,
  type DispatchResponse,
  MAX_DISPATCH_BYTES,
  MAX_DISPATCH_CALLS,
  type Presentation,
  type QueueStatus,
  type TokenizerType,
} from "@inferd/client/protocol";
import { type Backend, toStatus } from "../inference/backend.ts";
import { InvalidRequestError } from "../inference/errors.ts";
import { RequestFailedError } from "../pipeline/errors.ts";
import type { Asker, Pipeline } from "../pipeline/pipeline.ts";
import { readString, refuse, type ResolvedRequest, shown } from "../pipeline/resolve.ts";
import { readEmbed } from "./embed.ts";
import { type Call, OpsError, parseOps } from "./ops.ts";
import { readRerank } from "./rerank.ts";
import { readTokenizer } from "./tokenizer.ts";
import { readV1 } from "./v1.ts";
import { isObject } from "../inference/objects.ts";

/** Model services a verb can use. */
export type DispatchService = "v1" | "v2" | "embed" | "rerank";

/** The daemon, as seen by dispatch. */
export interface DispatchHost {
  /** The namespace that requests must name. */
  namespace(): string;
  backends(): readonly Pick<Backend, "name" | "state" | "capabilities">[];
  readonly pipelines: Readonly<Record<DispatchService, Pick<Pipeline, "ask">>>;
  /** The fingerprint of the configuration; undefined until it is known. */
  configId(): string | undefined;
  /** The daemon's state, as in the admin stream. */
  state(): string;
  queue(): QueueStatus;
  /** The fields of the admin stream's `capabilities` frames, one entry per backend. */
  capabilities(): readonly Readonly<Record<string, unknown>>[];
  /** The hash of a backend's model file, where known. */
  modelSha256(backend: string): string | undefined;
}

/** The result of a verb, as JSON and as text for a person. */
interface Outcome {
  readonly value: unknown;
  text(): string;
}

/** A validated call, ready to run. */
interface Job {
  readonly presentation: Presentation;
  /** @throws {CallError} If the call fails. */
  run(asker: Asker): Outcome | Promise<Outcome>;
}

/** One call failed; the others are not affected. */
class CallError extends Error {
  override readonly name = "CallError";
}

const PROMPT_FIELDS = ["prompt", "system"];
const GENERATE_FIELDS = [
  "messages",
  "temperature",
  "top_p",
  "top_k",
  "max_tokens",
  "image_token_budget",
  "grammar",
  "seed",
  "stop",
  "min_p",
  "presence_penalty",
  "frequency_penalty",
  "repeat_penalty",
  "logit_bias",
];
const CONVERSATION_FIELDS = ["messages", "tools", "tool_choice", "thinking"];

/** The arguments of the verbs that use the tokenizer. */
const TOKENIZER_FIELDS = {
  tokenize: { takes: ["text", "add_special", "parse_special"], needs: "text" },
  detokenize: { takes: ["tokens"], needs: "tokens" },
  count: { takes: CONVERSATION_FIELDS, needs: "messages" },
  apply_template: { takes: CONVERSATION_FIELDS, needs: "messages" },
} as const;

/** Error entry for a call whose result is too large; room for one per call is reserved, so that the frame always fits. */
const TOO_LARGE = entryOf(false, `frame_too_large: The results do not fit into ${MAX_DISPATCH_BYTES} bytes`);
const RESERVED_BYTES = MAX_DISPATCH_CALLS * (TOO_LARGE.length + 16) + 1024;

const encoder = new TextEncoder();

/** @throws {InvalidRequestError} If it is not a dispatch request. */
export function readDispatchRequest(value: unknown): DispatchRequest {
  if (!isObject(value)) throw new InvalidRequestError(`A request must be a JSON object, got ${shown(value)}`);
  const { presentation = null, presentation_per_op = null, config_id = "" } = value;
  return {
    ops: readString("ops", value.ops),
    namespace: readString("namespace", value.namespace),
    presentation: readNullable("presentation", presentation),
    presentation_per_op: readNullables("presentation_per_op", presentation_per_op),
    config_id: readString("config_id", config_id),
  };
}

function readNullable(field: string, value: unknown): string | null {
  if (value !== null && typeof value !== "string") refuse(field, "a string or null", value);
  return value;
}

function readNullables(field: string, value: unknown): (string | null)[] | null {
  if (value === null) return null;
  if (!Array.isArray(value)) refuse(field, "an array or null", value);
  return value.map((entry: unknown, index) => readNullable(`${field}[${index}]`, entry));
}

export class Dispatch {
  readonly #host: DispatchHost;

  constructor(host: DispatchHost) {
    this.#host = host;
  }

  /**
   * Answer one request. The calls run one after the other; all are validated before the first runs.
   *
   * @throws The signal's reason, if the caller disconnected.
   */
  async answer(request: DispatchRequest, asker: Asker): Promise<DispatchResponse> {
    const configId = this.#host.configId();
    const response = {
      ok: false,
      result: null,
      error: null,
      namespace_mismatch: false,
      config_mismatch: false,
      served_config_id: configId ?? null,
    };
    if (request.namespace !== this.#host.namespace()) return { ...response, namespace_mismatch: true };
    if (configId === undefined || request.config_id !== configId) return { ...response, config_mismatch: true };
    let jobs: Job[];
    try {
      jobs = this.#prepare(request);
    } catch (error) {
      if (!(error instanceof OpsError)) throw error;
      return { ...response, error: error.message };
    }
    return { ...response, ok: true, result: await run(jobs, asker) };
  }

  #prepare(request: DispatchRequest): Job[] {
    const calls = parseOps(request.ops);
    const perOp = request.presentation_per_op;
    if (perOp !== null && perOp.length !== calls.length) {
      throw new OpsError(
        `"presentation_per_op" must have one entry for each of the ${calls.length} calls, got ${perOp.length}`,
      );
    }
    const overall = readPresentation("presentation", request.presentation) ?? "json";
    return calls.map((call, index) => {
      const own = readPresentation(`presentation_per_op[${index}]`, perOp?.[index] ?? null);
      return { presentation: own ?? overall, run: this.#resolve(call) };
    });
  }

  #resolve(call: Call): Job["run"] {
    try {
      return this.#verb(call);
    } catch (error) {
      if (!(error instanceof InvalidRequestError)) throw error;
      throw new OpsError(`Cannot run call ${call.number} (${call.verb}) at character ${call.at}: ${error.message}`);
    }
  }

  #verb(call: Call): Job["run"] {
    switch (call.verb) {
      case "status":
        allow(call, []);
        return () => this.#status();
      case "capabilities":
        allow(call, []);
        return () => this.#capabilities();
      case "models":
        allow(call, []);
        return () => this.#models();
      case "config_id":
        allow(call, []);
        return () => {
          const id = this.#host.configId() ?? null;
          return { value: id, text: () => String(id) };
        };
      case "generate":
        return this.#generate(call);
      case "embed":
        return this.#embed(call);
      case "rerank":
        return this.#rerank(call);
      case "tokenize":
      case "detokenize":
      case "count":
      case "apply_template":
        return this.#tokenizer(call, call.verb);
      default:
        throw new InvalidRequestError(
          "there is no such verb; those there are: status, capabilities, models, generate, embed, rerank, tokenize, " +
            "detokenize, count, apply_template, config_id",
        );
    }
  }

  #status(): Outcome {
    const backends = this.#host.backends();
    const queue = this.#host.queue();
    const value = {
      state: this.#host.state(),
      backends: backends.map(({ name, state }) => ({ name, state: toStatus(state) })),
      queue,
    };
    const named = value.backends.map(({ name, state }) => `${name} ${state}`).join(", ");
    const { active, waiting, depth } = queue;
    return { value, text: () => `${value.state}; ${named}; ${active} active, ${waiting} of ${depth} waiting` };
  }

  #capabilities(): Outcome {
    const value = this.#host.capabilities();
    return { value, text: () => value.map((entry) => JSON.stringify(entry)).join("\n") };
  }

  #models(): Outcome {
    const value = this.#host.backends().flatMap(({ name, capabilities }) => {
      if (capabilities === undefined) return [];
      const sha256 = this.#host.modelSha256(name);
      const model = { name: capabilities.model, backend: name, n_ctx: capabilities.contextTokens };
      return [sha256 === undefined ? model : { ...model, sha256 }];
    });
    return { value, text: () => value.map((model) => toRow(Object.values(model))).join("\n") };
  }

  #generate(call: Call): Job["run"] {
    const args = allow(call, [...PROMPT_FIELDS, ...GENERATE_FIELDS]);
    const { prompt, system, ...fields } = args;
    if ((prompt === undefined) === (fields.messages === undefined)) {
      throw new InvalidRequestError('either "prompt" or "messages" must be given');
    }
    if (prompt === undefined && system !== undefined) throw new InvalidRequestError('"system" goes with "prompt" only');
    const messages = prompt === undefined ? fields.messages : [
      ...(system === undefined ? [] : [{ role: "system", content: readString("system", system) }]),
      { role: "user", content: readString("prompt", prompt) },
    ];
    const resolved = readV1({ ...fields, messages, stream: false });
    return async (asker) => {
      const { content, usage, stop_reason, backend } = await this.#ask("v1", resolved, asker);
      return { value: { content, usage, stop_reason, backend }, text: () => content };
    };
  }

  #embed(call: Call): Job["run"] {
    const resolved = readEmbed(need(allow(call, ["input", "dimensions", "task"]), ["input"]));
    return async (asker) => {
      const { embeddings, dimensions, model, usage, backend } = await this.#ask("embed", resolved, asker);
      return {
        value: { embeddings, dimensions, model, usage, backend },
        text: () => JSON.stringify(embeddings),
      };
    };
  }

  #rerank(call: Call): Job["run"] {
    const args = need(allow(call, ["query", "documents", "top_n"]), ["query", "documents"]);
    const resolved = readRerank(args);
    const documents = args.documents as readonly string[];
    return async (asker) => {
      const { results, model, usage, backend } = await this.#ask("rerank", resolved, asker);
      return {
        value: { results, model, usage, backend },
        text: () => results.map(({ index, score }) => toRow([score, documents[index]])).join("\n"),
      };
    };
  }

  #tokenizer(call: Call, type: TokenizerType): Job["run"] {
    const { takes, needs } = TOKENIZER_FIELDS[type];
    const resolved = readTokenizer("", type, need(allow(call, ["model", ...takes]), [needs]));
    return async (asker) => {
      const { tokens, text, input_tokens, model, backend } = await this.#ask("v2", resolved, asker);
      return {
        // Fields that a type does not have are left out of the JSON.
        value: { tokens, text, input_tokens, model, backend },
        text: () => String(text ?? input_tokens ?? JSON.stringify(tokens)),
      };
    };
  }

  async #ask<R>(service: DispatchService, request: ResolvedRequest<R>, asker: Asker): Promise<R> {
    try {
      return await this.#host.pipelines[service].ask(request, asker);
    } catch (error) {
      if (error instanceof RequestFailedError) throw new CallError(`${error.code}: ${error.message}`);
      throw error;
    }
  }
}

/** Run all calls, one after the other; returns the array of results as text that fits into a response. */
async function run(jobs: readonly Job[], asker: Asker): Promise<string> {
  const entries: string[] = [];
  let leftBytes = MAX_DISPATCH_BYTES - RESERVED_BYTES;
  for (const job of jobs) {
    const entry = await runOne(job, asker);
    // Counted as in the response: a string within a string.
    const bytes = encoder.encode(JSON.stringify(entry)).length;
    const fits = bytes <= leftBytes;
    if (fits) leftBytes -= bytes;
    entries.push(fits ? entry : TOO_LARGE);
  }
  return `[${entries.join(",")}]`;
}

async function runOne(job: Job, asker: Asker): Promise<string> {
  try {
    const outcome = await job.run(asker);
    return entryOf(true, job.presentation === "text" ? outcome.text() : outcome.value);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    return entryOf(false, error.message);
  }
}

function entryOf(ok: boolean, content: unknown): string {
  return JSON.stringify(ok ? { ok, value: content } : { ok, error: content });
}

/** The arguments of a call, after checking that the verb takes each of them. */
function allow(call: Call, names: readonly string[]): Readonly<Record<string, unknown>> {
  for (const name of call.args.keys()) {
    if (names.includes(name)) continue;
    const taken = names.length === 0 ? "it takes none" : `those it takes: ${names.join(", ")}`;
    throw new InvalidRequestError(`there is no argument ${shown(name)}; ${taken}`);
  }
  return Object.fromEntries(call.args);
}

function need<T extends Readonly<Record<string, unknown>>>(args: T, names: readonly string[]): T {
  for (const name of names) {
    if (!Object.hasOwn(args, name)) throw new InvalidRequestError(`the argument "${name}" is missing`);
  }
  return args;
}

function readPresentation(field: string, value: string | null): Presentation | undefined {
  if (value === null) return undefined;
  if (value === "json" || value === "text") return value;
  throw new OpsError(`"${field}" must be "json" or "text", got ${shown(value)}`);
}

/** One line of tab-separated cells, whatever they contain. */
function toRow(cells: readonly unknown[]): string {
  return cells.map((cell) => String(cell).replace(/\s+/g, " ")).join("\t");
}
