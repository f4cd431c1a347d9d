/**
 * Embeddings and rerank through the daemon's sockets against llama-server's endpoints: same model file, threads and
 * texts, one request at a time, alternating. All answers are read completely and parsed.
 */
import { join } from "@std/path";
import { Process } from "./processes.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { median, type Row } from "./report.ts";
import { answering, freePort, Inferd, PROJECT } from "./servers.ts";

const THREADS = 2;
const WORDS_IN_TEXT = 30;
const TEXTS = 256;
const DOCUMENTS = 100;
const SPEED_GOAL = 1;
/** Requests for one text per round; a single one is too short to time. */
const SHORT_REQUESTS = 20;
const WORDS = ("time year people way day man thing woman life child world school state family student group country " +
  "problem hand part place case week company system program question work number night point home water room mother " +
  "area money story fact month lot right study book eye job word business issue side kind head house service friend " +
  "father power hour game line end law car city name team minute idea body back parent face level office door health")
  .split(" ");

/** What to measure. */
export type Encode = "embed" | "rerank";

/** Options of a section. */
export interface EncodeBenchOptions {
  readonly rounds: number;
  readonly progress: Progress;
  /** Folder of llama-server; undefined: no peer. */
  readonly peerFolder?: string;
  /** Measure only the peer. */
  readonly peerOnly: boolean;
}

/** The sides: llama-server, inferd. */
type Side = "peer" | "ours";

/** A server under test. */
interface Contender extends AsyncDisposable {
  readonly side: Side;
  /** Send a request and wait for the parsed answer; returns its token count. */
  ask(request: EncodeRequest): Promise<number>;
}

interface EncodeRequest {
  readonly texts: readonly string[];
  /** For rerank. */
  readonly query: string;
}

/**
 * Measure embeddings or rerank.
 *
 * @param what What to measure.
 * @param options Rounds and tools.
 * @returns The lines of the table.
 */
export async function benchEncode(what: Encode, options: EncodeBenchOptions): Promise<Row[]> {
  const { rounds, progress, peerFolder, peerOnly } = options;
  const model = join(PROJECT, "models", `inferd-tiny-${what}.gguf`);
  const section = what === "embed" ? "Embeddings, 0.9 M, F16" : "Rerank, 0.9 M, F16";
  progress.step(`${section}: starting`);
  await using servers = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  if (peerFolder !== undefined) contenders.push(servers.use(await startPeer(what, { model, peerFolder })));
  if (!peerOnly) contenders.push(servers.use(await startOurs(what, model)));

  const draw = drawTexts();
  const draws = (): EncodeRequest => ({
    texts: Array.from({ length: what === "embed" ? TEXTS : DOCUMENTS }, () => draw(WORDS_IN_TEXT)),
    query: draw(8),
  });
  progress.step(`${section}: warming up`);
  const first = draws();
  const counts: number[] = [];
  for (const contender of contenders) counts.push(await contender.ask(first));
  if (new Set(counts).size > 1) {
    // The rerank model's file does not declare the separator that node-llama-cpp and inferd insert.
    progress.note(`${section}: tokens differ for the same request, ${counts.join(" and ")}`);
  }

  const manyMs: Times = { peer: [], ours: [] };
  const oneMs: Times = { peer: [], ours: [] };
  for (let round = 0; round < rounds; round++) {
    progress.at(round / rounds, `${section}: round ${round + 1} of ${rounds}`);
    const request = draws();
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const contender of order) manyMs[contender.side].push(await timed(() => contender.ask(request)));
    for (const contender of order) {
      const ms = await timed(async () => {
        for (let i = 0; i < SHORT_REQUESTS; i++) await contender.ask({ ...request, texts: [request.texts[i] ?? ""] });
      });
      oneMs[contender.side].push(ms / SHORT_REQUESTS);
    }
  }
  const count = first.texts.length;
  const noun = what === "embed" ? "texts" : "documents";
  const perSecond = (ms: number): number => count / ms * 1000;
  const same = (ms: number): number => ms;
  const goal = { kind: "ratio-at-least", value: SPEED_GOAL } as const;
  const many = `${count} ${noun} of ${WORDS_IN_TEXT} words in a request`;
  const one = `1 ${noun.slice(0, -1)} in a request`;
  return [
    { section, figure: many, unit: `${noun}/s`, ...figures(manyMs, perSecond), goal },
    { section, figure: one, unit: "ms", ...figures(oneMs, same) },
  ];
}

/** Milliseconds per round. */
type Times = Readonly<Record<Side, number[]>>;

/** Figures of both sides of a row; a side that did not run is omitted. */
function figures({ peer, ours }: Times, of: (ms: number) => number): Pick<Row, "peer" | "ours"> {
  return {
    ...(peer.length === 0 ? {} : { peer: of(median(peer)) }),
    ...(ours.length === 0 ? {} : { ours: of(median(ours)) }),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Random texts, deterministic and all different. */
function drawTexts(): (words: number) => string {
  let state = 1;
  return (words) =>
    Array.from({ length: words }, () => {
      // A linear congruential generator; only its upper bits are random enough.
      state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
      return WORDS[Math.floor(state / 2 ** 32 * WORDS.length)] ?? "";
    }).join(" ");
}

/** Starts llama-server with the batch size that suits it best. */
async function startPeer(
  what: Encode,
  { model, peerFolder }: { readonly model: string; readonly peerFolder: string },
): Promise<Contender> {
  const port = freePort();
  const process = new Process("llama-server", join(peerFolder, "llama-server"), {
    args: [
      ...["--model", model, "--host", "127.0.0.1", "--port", `${port}`, "--threads", `${THREADS}`],
      ...["--ubatch-size", "512", what === "embed" ? "--embeddings" : "--reranking"],
    ],
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    void process.lines.cancel();
    await answering(process, async () => {
      const response = await fetch(`${url}/health`);
      await response.body?.cancel();
      return response.ok;
    });
  } catch (error) {
    await process[Symbol.asyncDispose]();
    throw error;
  }
  const path = what === "embed" ? "/v1/embeddings" : "/v1/rerank";
  return {
    side: "peer",
    ask: async ({ texts, query }) => {
      const body = what === "embed" ? { input: texts } : { query, documents: texts };
      const response = await fetch(url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(`llama-server: ${JSON.stringify(answer)}`);
      return answer.usage.prompt_tokens as number;
    },
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}

async function startOurs(what: Encode, model: string): Promise<Contender> {
  const args = ["run", "-A", "main.ts", "serve", "--backend", "llamacpp", "--model", model, "--threads", `${THREADS}`];
  const daemon = await Inferd.start(args, {}, `infer.${what}.sock`);
  const connection = await Deno.connect({ transport: "unix", path: daemon.target.path });
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const reader = connection.readable.getReader();
  return {
    side: "ours",
    ask: async ({ texts, query }) => {
      const body = what === "embed" ? { input: texts } : { query, documents: texts };
      let bytes = encoder.encode(JSON.stringify(body) + "\n");
      while (bytes.length > 0) bytes = bytes.subarray(await connection.write(bytes));
      let line = "";
      while (!line.endsWith("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error("inferd closed the connection");
        line += decoder.decode(value, { stream: true });
      }
      const answer = JSON.parse(line);
      if (answer.type === "error") throw new Error(`inferd: ${answer.message}`);
      return answer.usage.input_tokens as number;
    },
    [Symbol.asyncDispose]: async () => {
      await reader.cancel();
      await daemon[Symbol.asyncDispose]();
    },
  };
}
