/**
 * How much throughput a stream keeps next to requests that are costly to prepare or constrain: many tools, a huge
 * schema, an ambiguous grammar, a prompt that cannot fit, an expensive template. Every request is different, so that no
 * cache helps.
 */
import { join } from "@std/path";
import type { Progress } from "../src/cli/terminal/progress.ts";
import type { Results } from "./contenders.ts";
import { BUILT_IN_MODEL } from "./engine.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { NeighbourResult } from "./load_job.ts";
import { wordPrompts } from "./prompts.ts";
import { WIDE_VOCABULARY, WIDE_VOCABULARY_SHAPE, writeRandomModel } from "./random_gguf.ts";
import { median, type Row } from "./report.ts";
import { answering, freePort, Inferd } from "./servers.ts";

const SECTION = "A stream next to costly requests, random Llama, vocabulary of 150 000";
const CONTEXT_TOKENS = 8192;
const STREAM_TOKENS = 7000;
const ALONE_MS = 2000;
const APART_MS = 2000;
const MOST_MS = 12_000;
const REQUESTS = 4;
/** Guaranteed share of a stream's throughput. */
const SHARE = 0.8;
const LONGEST_GAP_MS = 100;
const GREEDY = { temperature: 0, topP: 1, topK: 0, seed: 1 };
/**
 * Renders only the names of tools, and no turns that are a dash, to keep prompts short: prompt processing is measured
 * elsewhere. Every turn scans all others.
 */
const TEMPLATE = "{% for tool in tools %}{{ tool.function.name + '\\n' }}{% endfor %}{% for message in messages %}" +
  "{% for other in messages %}{% if other.role == 'none' %}{{ other.content }}{% endif %}{% endfor %}" +
  "{% if message.content != '-' %}{{ '<|im_start|>' + message.role + '\\n' + (message.content or '') }}{% for call in message.tool_calls %}" +
  '{{ \'\\n<tool_call>\\n{"name": "\' + call.function.name + \'", "arguments": \' + (call.function.arguments | tojson) + ' +
  "'}\\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\\n' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** A kind of costly request. */
interface Costly {
  readonly name: string;
  /** Its socket, the HTTP bridge, or a socket whose reader discards everything: what the load generator itself costs. */
  readonly to: "infer.sock" | "infer.v2.sock" | "http" | "discard";
  /** Tokens per answer; default: one, because decoding is not what is measured. */
  readonly tokens?: number;
  /** Default: {@linkcode REQUESTS}. */
  readonly requests?: number;
  /** Fields of the n-th request. */
  request(number: number): Record<string, unknown>;
}

const hello = (text = "Hello."): Record<string, unknown>[] => [{ role: "user", content: text }];
const helloBlocks = (text = "Hello."): Record<string, unknown>[] => [
  { role: "user", content: [{ type: "text", text }] },
];

const COSTLY: readonly Costly[] = [
  {
    name: "64 tools",
    to: "infer.v2.sock",
    request: (number) => ({
      messages: helloBlocks(),
      tool_choice: "required",
      tools: Array.from({ length: 64 }, (_, tool) => ({
        name: `tool_${number}_${tool}`,
        description: "",
        input_schema: objectOf(10, (i) => [`property_${tool}_${i}`, { type: "string" }]),
      })),
    }),
  },
  {
    name: "a schema of 900 keys",
    to: "infer.v2.sock",
    request: (number) => ({
      messages: helloBlocks(),
      response_format: {
        type: "json_schema",
        schema: objectOf(900, (i) => [`key_${number}_${i}`, { type: "array", items: { enum: [`a${i}`, `b${i}`, i] } }]),
      },
    }),
  },
  {
    name: "an ambiguous grammar",
    to: "infer.sock",
    tokens: 40,
    request: (number) => ({
      messages: hello(),
      grammar: `root ::= ${
        Array.from({ length: 24 }, (_, i) => `[a-z ]* [${"abcdefghijkl"[i % 12]}-z ] [a-z ]{${1700 + number + i}}`)
          .join(" | ")
      }`,
    }),
  },
  {
    name: "JSON of any kind",
    to: "infer.v2.sock",
    tokens: 40,
    request: (number) => ({
      messages: helloBlocks(),
      response_format: {
        type: "json_schema",
        schema: objectOf(20, (i) => [`key_${number}_${i}`, i % 2 === 0 ? { type: "string", maxLength: 50 } : {}]),
      },
    }),
  },
  {
    name: "a prompt of 1 MB",
    to: "infer.sock",
    request: (number) => ({ messages: hello(`${number} ${"apple river stone cloud ".repeat(42_000)}`) }),
  },
  {
    name: "a history of 400 turns",
    to: "infer.sock",
    request: (number) => ({
      messages: Array.from({ length: 401 }, (_, turn) => ({
        role: turn % 2 === 0 ? "user" : "assistant",
        content: turn === 400 ? `Hello ${number}.` : "-",
      })),
    }),
  },
];

/** Lines of nearly 62 MiB, close to the largest frame. */
const LARGE: readonly Costly[] = [
  {
    name: "a text of 62 MiB",
    to: "infer.sock",
    requests: 2,
    request: (number) => ({ messages: hello(`${number} ${'apple "river" stone clöud '.repeat(2_300_000)}`) }),
  },
  {
    name: "an attachment of 62 MiB",
    to: "infer.v2.sock",
    requests: 2,
    request: () => ({
      messages: [{ role: "user", content: [{ type: "image", attachment_id: "a" }] }],
      attachments: [{ id: "a", kind: "image", mime: "image/png", bytes: "iVBORw0KGgoA/+zz".repeat(4_000_000) }],
    }),
  },
  {
    name: "260 000 values in 62 MiB",
    to: "infer.sock",
    requests: 2,
    request: (number) => ({
      messages: hello(`Hello ${number}.`),
      padding: Array.from({ length: 260_000 }, (_, i) => `${number} ${i} ${"x".repeat(224)}`),
    }),
  },
];

/** 40 MiB of base64. */
const IMAGE = "iVBORw0KGgoA+/zz".repeat(2_600_000);

/** Requests that pass through the HTTP bridge, or to a remote server. */
const FURTHER: readonly Costly[] = [
  {
    name: "62 MiB that nobody parses",
    to: "discard",
    requests: 2,
    request: (number) => ({ messages: hello(`${number} ${"apple river stone cloud ".repeat(2_600_000)}`) }),
  },
  {
    name: "an HTTP body with a text of 40 MiB",
    to: "http",
    requests: 2,
    request: (number) => ({ messages: hello(`${number} ${'apple "river" stone clöud '.repeat(1_450_000)}`) }),
  },
  {
    name: "an HTTP body with an image of 40 MiB",
    to: "http",
    requests: 2,
    request: () => ({
      messages: [{
        role: "user",
        content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${IMAGE}` } }],
      }],
    }),
  },
  {
    name: "an image of 40 MiB to a remote server",
    to: "infer.v2.sock",
    requests: 2,
    request: () => ({
      model: "remote",
      messages: [{ role: "user", content: [{ type: "image", attachment_id: "a" }] }],
      attachments: [{ id: "a", kind: "image", mime: "image/png", bytes: IMAGE }],
    }),
  },
];

function objectOf(
  count: number,
  property: (index: number) => [name: string, schema: unknown],
): Record<string, unknown> {
  const properties = Array.from({ length: count }, (_, i) => property(i));
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    required: properties.slice(0, 2).map(([name]) => name),
    additionalProperties: false,
  };
}

/** Options of this section. */
export interface BesideBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly cache: string;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/**
 * Measure a stream next to costly requests.
 *
 * @param options Duration and tools.
 * @returns The lines of the table; the peer's column has the stream next to a short question.
 */
export async function benchBeside(options: BesideBenchOptions): Promise<Row[]> {
  const { load, progress, rounds, quick } = options;
  const model = await wideModel(options);
  progress.step(`${SECTION}: starting`);
  await using places = new AsyncDisposableStack();
  const discard = places.use(await Discarder.start());
  const remote = places.use(startRemote());
  const port = freePort();
  const config = join(discard.folder, "config.json");
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      backends: [
        {
          ...{ kind: "llamacpp", name: "local", model: { path: model } },
          // Guesses make its speed depend on the text.
          ...{ threads: 2, parallel: 4, n_ctx: CONTEXT_TOKENS, speculation: false },
        },
        { kind: "openai-compat", name: "remote", base_url: `http://127.0.0.1:${remote.addr.port}/v1`, model: "remote" },
      ],
    }),
  );
  const http = ["--http", `127.0.0.1:${port}`];
  await using daemon = await Inferd.start(["run", "-A", "main.ts", "serve", "--config", config, ...http]);
  await answering(daemon.process, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    await response.body?.cancel();
    return response.ok;
  });
  const prompts = wordPrompts(24);
  const rows: Row[] = [];
  let number = 0;
  const kinds = [...COSTLY, ...LARGE, ...FURTHER];
  for (const [index, { name, to, tokens = 1, requests = REQUESTS, request }] of kinds.entries()) {
    const sides: Results<NeighbourResult> = { peer: [], ours: [] };
    const most = quick ? 1 : rounds;
    for (let round = 0; round < most; round++) {
      progress.at((index + round / most) / kinds.length, `${SECTION}: ${name}, round ${round + 1} of ${most}`);
      for (const side of round % 2 === 0 ? ["peer", "ours"] as const : ["ours", "peer"] as const) {
        const fields = (): Record<string, unknown> =>
          side === "peer" ? { messages: hello(`Hello ${++number}.`) } : request(++number);
        const socket = side === "peer" || to === "http" ? "infer.sock" : to;
        sides[side].push(
          await load.run({
            kind: "neighbour",
            target: to === "http" ? { protocol: "inferd-http", port } : daemon.target,
            stream: prompts(),
            streamTokens: STREAM_TOKENS,
            sampling: GREEDY,
            aloneMs: ALONE_MS,
            to: side === "ours" && to === "http"
              ? { port }
              : { path: socket === "discard" ? discard.path : daemon.target.path.replace(/infer\.sock$/, socket) },
            lines: Array.from(
              { length: requests },
              () =>
                JSON.stringify({
                  ...(to === "http" ? {} : { id: "c" }),
                  max_tokens: tokens,
                  temperature: 0,
                  ...fields(),
                }),
            ),
            apartMs: APART_MS,
            mostMs: MOST_MS,
          }),
        );
      }
    }
    rows.push(...rowsOf(name, sides));
  }
  return rows;
}

function rowsOf(name: string, { peer, ours }: Results<NeighbourResult>): Row[] {
  const endings = ours.flatMap(({ endings }) => endings);
  const counts = [...new Set(endings)].map((ending) => `${endings.filter((one) => one === ending).length} ${ending}`);
  const figure = (what: string): string => `${name} (${counts.join(", ")}): ${what}`;
  const share = (results: readonly NeighbourResult[]): number =>
    median(results.map(({ aloneTokensPerSec, besideTokensPerSec }) => besideTokensPerSec / aloneTokensPerSec));
  const gap = (results: readonly NeighbourResult[]): number => median(results.map(({ longestGapMs }) => longestGapMs));
  return [
    {
      section: SECTION,
      figure: figure("the share of its speed that the stream keeps"),
      unit: "",
      peer: share(peer),
      ours: share(ours),
      goal: { kind: "ratio-at-least", value: SHARE },
    },
    {
      section: SECTION,
      figure: figure("its longest gap"),
      unit: "ms",
      peer: gap(peer),
      ours: gap(ours),
      goal: { kind: "at-most", value: LONGEST_GAP_MS },
    },
  ];
}

/** A socket whose reader discards everything, and answers each line. */
class Discarder implements AsyncDisposable {
  readonly folder: string;
  readonly path: string;
  readonly #listener: Deno.UnixListener;
  readonly #serving: Promise<void>;

  private constructor(folder: string) {
    this.folder = folder;
    this.path = join(folder, "discard.sock");
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
    this.#serving = this.#serve();
  }

  static async start(): Promise<Discarder> {
    return new Discarder(await Deno.makeTempDir({ prefix: "inferd-bench-" }));
  }

  async #serve(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    for await (using connection of this.#listener) {
      for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
        if (buffer[count - 1] === 0x0a) await connection.write(new TextEncoder().encode('{"type":"done"}\n'));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A remote server that reads what it is asked and says one word. */
function startRemote(): Deno.HttpServer<Deno.NetAddr> {
  const answer = { choices: [{ index: 0, delta: { content: "Yes" }, finish_reason: "stop" }] };
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    for await (const _ of request.body ?? []);
    return new Response(`data: ${JSON.stringify(answer)}\n\ndata: [DONE]\n\n`, {
      headers: { "content-type": "text/event-stream" },
    });
  });
}

/** Path of the model; written on first use. */
async function wideModel({ cache, progress }: BesideBenchOptions): Promise<string> {
  const path = join(cache, "random-wide-q8_0.gguf");
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  progress.step("writing a random model");
  await writeRandomModel(path, {
    tokenizerFrom: BUILT_IN_MODEL,
    shape: WIDE_VOCABULARY_SHAPE,
    seed: 1,
    vocabulary: WIDE_VOCABULARY,
    template: TEMPLATE,
    onProgress: (fraction) => progress.at(fraction),
  });
  return path;
}
