/** Sends one request of a conversation to either server: complete answer, time to first token, cached tokens. */
import { TextLineStream } from "@std/streams/text-line-stream";
import type { V2Request, V2ServerFrame } from "@inferd/client/protocol";
import type { Target } from "./load_job.ts";

/** A message of a conversation. */
export interface Message {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** A request of a turn. */
export interface TurnRequest {
  readonly messages: readonly Message[];
  readonly thinking: boolean;
  readonly maxTokens: number;
}

/** An answer as seen by the client. */
export interface Turn {
  /** Without thinking. */
  readonly text: string;
  /** From the request to the first text or thinking. */
  readonly firstMs: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

/**
 * Request the next turn, with greedy sampling.
 *
 * @param target inferd's v2, or llama-server.
 * @param request The request.
 * @returns The answer.
 */
export async function askTurn(target: Target, request: TurnRequest): Promise<Turn> {
  if (target.protocol === "llama-server") return await askPeer(target.port, request);
  if (target.protocol === "inferd-v2") return await askInferd(target.path, request);
  throw new TypeError(`Conversations are not measured by ${target.protocol}`);
}

async function askInferd(path: string, { messages, thinking, maxTokens }: TurnRequest): Promise<Turn> {
  using connection = await Deno.connect({ transport: "unix", path });
  const request: V2Request = {
    id: "c",
    messages: messages.map(({ role, content }) => ({ role, content: [{ type: "text", text: content }] })),
    thinking,
    temperature: 0,
    max_tokens: maxTokens,
  };
  const started = performance.now();
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
  let text = "";
  let firstMs: number | undefined;
  for await (const line of linesOf(connection.readable)) {
    const frame: V2ServerFrame = JSON.parse(line);
    if (frame.type === "error") throw new Error(`${frame.code}: ${frame.message}`);
    if (frame.type === "done") {
      const { input_tokens: promptTokens, cached_tokens: cachedTokens = 0 } = frame.usage;
      return { text, firstMs: whole(firstMs), promptTokens, cachedTokens };
    }
    firstMs ??= performance.now() - started;
    if (frame.type === "frame" && frame.block.type === "text") text += frame.block.delta;
  }
  throw new Error("The server closed the connection");
}

async function askPeer(port: number, { messages, thinking, maxTokens }: TurnRequest): Promise<Turn> {
  const started = performance.now();
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      messages,
      chat_template_kwargs: { enable_thinking: thinking },
      temperature: 0,
      max_tokens: maxTokens,
      stream: true,
    }),
  });
  if (!response.ok || response.body === null) throw new Error(`llama-server: ${response.status}`);
  let text = "";
  let firstMs: number | undefined;
  let turn: Turn | undefined;
  for await (const line of linesOf(response.body)) {
    if (!line.startsWith("data: {")) continue;
    const { choices: [choice], timings }: PeerChunk = JSON.parse(line.slice("data: ".length));
    const said = choice?.delta.content ?? "";
    if (said !== "" || choice?.delta.reasoning_content) firstMs ??= performance.now() - started;
    text += said;
    if (timings === undefined) continue;
    const { prompt_n: computed, cache_n: cachedTokens } = timings;
    turn = { text, firstMs: whole(firstMs), promptTokens: computed + cachedTokens, cachedTokens };
  }
  if (turn === undefined) throw new Error("The answer ended without a last event");
  return turn;
}

/** A chunk streamed by llama-server; the last one has `timings`. */
interface PeerChunk {
  readonly choices: readonly {
    readonly delta: { readonly content?: string | null; readonly reasoning_content?: string };
  }[];
  readonly timings?: { readonly prompt_n: number; readonly cache_n: number };
}

function linesOf(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<string> {
  return bytes.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
}

function whole(firstMs: number | undefined): number {
  if (firstMs === undefined) throw new Error("The answer is empty");
  return firstMs;
}
