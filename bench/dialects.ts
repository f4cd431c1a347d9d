/**
 * The protocols of the load generator: how a request is written and how lines of the answer are read. All minimise
 * client cost: a line that clearly holds text is recognised by its beginning; only others are parsed.
 */
import type { V1Frame, V1Request, V2Request, V2ServerFrame } from "@inferd/client/protocol";
import type { Ending, StreamJob, Target } from "./load_job.ts";

/** A protocol, for one job. */
export interface Dialect {
  connect(): Promise<Deno.Conn>;
  /** Whether a connection can be reused. */
  readonly keepsConnections: boolean;
  /** Encode a request. */
  request(prompt: string): Uint8Array;
  /** Whether a line carries text. */
  isText(line: string): boolean;
  /** Parse any other line; returns the ending once the answer is complete. */
  other(line: string): Ending | undefined;
}

const encoder = new TextEncoder();
const REQUEST_ID = "b";
const INFERD_TEXT = `{"id":"${REQUEST_ID}","type":"token","content":`;
const INFERD_V2_TEXT = `{"id":"${REQUEST_ID}","type":"frame","block":{"type":"text","delta":`;
const COMPLETION_TEXT = 'data: {"index":0,"content":"';
const HTTP_TEXT = '"delta":{"content":"';
const CHAT_TEXT = 'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"';

/**
 * Create the protocol of a job's target.
 *
 * @param job The job.
 * @returns The protocol, for one connection.
 */
export function dialectOf(job: StreamJob): Dialect {
  const { target } = job;
  switch (target.protocol) {
    case "inferd":
      return inferd(target.path, job);
    case "inferd-v2":
      return inferdV2(target.path, job);
    case "inferd-http":
      return inferdHttp(target.port, job);
    case "llama-server":
      return llamaServer(target, job);
  }
}

/**
 * Build a v1 request.
 *
 * @param prompt The user message.
 * @param more Further fields.
 * @returns The line.
 */
export function inferdRequest(prompt: string, more: Partial<V1Request> = {}): Uint8Array {
  const request: V1Request = { id: REQUEST_ID, messages: [{ role: "user", content: prompt }], ...more };
  return encoder.encode(JSON.stringify(request) + "\n");
}

function inferd(path: string, { maxTokens, sampling, grammar }: StreamJob): Dialect {
  const { temperature, topP, topK, seed } = sampling;
  const bound = grammar === undefined ? {} : { grammar };
  return {
    connect: () => Deno.connect({ transport: "unix", path }),
    keepsConnections: true,
    request: (prompt) =>
      inferdRequest(prompt, { temperature, top_p: topP, top_k: topK, seed, max_tokens: maxTokens, ...bound }),
    isText: (line) => line.startsWith(INFERD_TEXT),
    other(line): Ending | undefined {
      const frame: V1Frame = JSON.parse(line);
      if (frame.type === "error") throw new Error(`${frame.code}: ${frame.message}`);
      if (frame.type !== "done") throw new Error(`Unexpected frame ${line.slice(0, 200)}`);
      return { tokens: frame.usage.completion_tokens, promptTokens: frame.usage.prompt_tokens };
    },
  };
}

function inferdV2(path: string, { maxTokens, sampling, schema }: StreamJob): Dialect {
  const { temperature, topP, topK, seed } = sampling;
  const bound = schema === undefined ? {} : { response_format: { type: "json_schema" as const, schema } };
  return {
    connect: () => Deno.connect({ transport: "unix", path }),
    keepsConnections: true,
    request(prompt): Uint8Array {
      const request: V2Request = {
        id: REQUEST_ID,
        messages: [{ role: "user", content: [{ type: "text", text: prompt }] }],
        temperature,
        top_p: topP,
        top_k: topK,
        seed,
        max_tokens: maxTokens,
        ...bound,
      };
      return encoder.encode(JSON.stringify(request) + "\n");
    },
    isText: (line) => line.startsWith(INFERD_V2_TEXT),
    other(line): Ending | undefined {
      const frame: V2ServerFrame = JSON.parse(line);
      if (frame.type === "error") throw new Error(`${frame.code}: ${frame.message}`);
      if (frame.type !== "done") throw new Error(`Unexpected frame ${line.slice(0, 200)}`);
      return { tokens: frame.usage.output_tokens, promptTokens: frame.usage.input_tokens };
    },
  };
}

function inferdHttp(port: number, { maxTokens, sampling }: StreamJob): Dialect {
  const { temperature, topP, topK, seed } = sampling;
  let ending: Ending | undefined;
  return {
    async connect(): Promise<Deno.Conn> {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      connection.setNoDelay(true);
      return connection;
    },
    keepsConnections: true,
    request(prompt): Uint8Array {
      ending = undefined;
      return post("/v1/chat/completions", {
        messages: [{ role: "user", content: prompt }],
        temperature,
        top_p: topP,
        top_k: topK,
        seed,
        max_tokens: maxTokens,
        stream: true,
        stream_options: { include_usage: true },
      });
    },
    isText: (line) => line.includes(HTTP_TEXT),
    other(line): Ending | undefined {
      if (line.startsWith("data: {")) {
        const { usage, error } = JSON.parse(line.slice("data: ".length));
        if (error !== undefined) throw new Error(`${error.code}: ${error.message}`);
        if (usage) ending = { tokens: usage.completion_tokens, promptTokens: usage.prompt_tokens };
      } else if (line === "0\r") {
        if (ending === undefined) throw new Error("The answer ended without its usage");
        return ending;
      } else if (line.startsWith("HTTP/") && !line.startsWith("HTTP/1.1 200")) {
        throw new Error(line.trim());
      }
      return undefined;
    },
  };
}

/** Encode an HTTP request. */
function post(path: string, fields: Readonly<Record<string, unknown>>): Uint8Array {
  const body = JSON.stringify(fields);
  return encoder.encode(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${encoder.encode(body).length}\r\n\r\n${body}`,
  );
}

function llamaServer(
  target: Target & { protocol: "llama-server" },
  { maxTokens, sampling, schema }: StreamJob,
): Dialect {
  const chat = target.endpoint === "chat";
  const path = chat ? "/v1/chat/completions" : "/completion";
  const textPrefix = chat ? CHAT_TEXT : COMPLETION_TEXT;
  const options = {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: 0,
    samplers: ["top_k", "top_p", "temperature"],
    seed: sampling.seed,
    n_predict: maxTokens,
    stream: true,
    ...(schema === undefined ? {} : { response_format: { type: "json_schema", json_schema: { schema } } }),
  };
  let ending: Ending | undefined;
  return {
    async connect(): Promise<Deno.Conn> {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: target.port });
      connection.setNoDelay(true);
      return connection;
    },
    // The server advertises keep-alive, but closes the connection after a streamed answer.
    keepsConnections: false,
    request(prompt): Uint8Array {
      ending = undefined;
      const asked = chat
        ? { messages: [{ role: "user", content: prompt }], chat_template_kwargs: { enable_thinking: false } }
        : { prompt: `${target.before}${prompt}${target.after}` };
      return post(path, { ...asked, ...options });
    },
    isText: (line) => line.startsWith(textPrefix) && line[textPrefix.length] !== '"',
    // The server sends whole events per HTTP chunk, so chunk sizes are lines of their own, to be skipped.
    other(line): Ending | undefined {
      if (line.startsWith("data: {")) {
        ending = peerEnding(JSON.parse(line.slice("data: ".length))) ?? ending;
      } else if (line === "0\r") {
        if (ending === undefined) throw new Error("The answer ended without a last event");
        return ending;
      } else if (line.startsWith("error: ") || (line.startsWith("HTTP/") && !line.startsWith("HTTP/1.1 200"))) {
        throw new Error(line.trim());
      }
      return undefined;
    },
  };
}

/** The last event of `/completion`, or the one of `/v1/chat/completions` with the finish reason. */
interface PeerEvent {
  readonly stop?: boolean;
  readonly stop_type?: string;
  readonly choices?: readonly { readonly finish_reason: string | null }[];
  readonly timings?: { readonly predicted_n: number; readonly prompt_n: number; readonly cache_n: number };
}

function peerEnding({ stop, stop_type, choices, timings }: PeerEvent): Ending | undefined {
  const finish = choices?.[0]?.finish_reason ?? undefined;
  if (timings === undefined || (stop !== true && finish === undefined)) return undefined;
  // The server counts the end-of-generation token, which is not part of the answer.
  const endToken = stop_type === "eos" || finish === "stop" ? 1 : 0;
  return { tokens: timings.predicted_n - endToken, promptTokens: timings.prompt_n + timings.cache_n };
}
