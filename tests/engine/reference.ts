/**
 * The same models through node-llama-cpp's own contexts, in a process of its own: its native addon and ours would be
 * two copies of one library. Reads a {@linkcode ReferenceJob} from stdin, prints a {@linkcode ReferenceResult}.
 */
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

/** What is wanted. */
export interface ReferenceJob {
  readonly modelPath: string;
  /** Vectors of these. */
  readonly texts?: readonly string[];
  /** The place of each document by its fit to the query. */
  readonly query?: string;
  readonly documents?: readonly string[];
}

/** What came out. */
export interface ReferenceResult {
  readonly vectors: readonly (readonly number[])[];
  /** Probabilities: what the model says, through a sigmoid. */
  readonly scores: readonly number[];
  /** Tokens of each text, or of query and document. */
  readonly tokens: readonly number[];
}

/** Ask for it from a test. */
export async function reference(job: ReferenceJob): Promise<ReferenceResult> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", import.meta.url],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(job)));
  await writer.close();
  const { code, stdout } = await child.output();
  if (code !== 0) throw new Error(`node-llama-cpp ended with ${code}`);
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "") as ReferenceResult;
}

async function main(): Promise<void> {
  const job = JSON.parse(await new Response(Deno.stdin.readable).text()) as ReferenceJob;
  const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath: job.modelPath });
  const vectors: (readonly number[])[] = [];
  const scores: number[] = [];
  const tokens: number[] = [];
  if (job.texts !== undefined) {
    const context = await model.createEmbeddingContext({ threads: 1 });
    for (const text of job.texts) {
      vectors.push((await context.getEmbeddingFor(text)).vector);
      tokens.push(context.calculateInputLength(text));
    }
  }
  if (job.query !== undefined && job.documents !== undefined) {
    const context = await model.createRankingContext({ threads: 1 });
    scores.push(...await context.rankAll(job.query, [...job.documents]));
    for (const document of job.documents) tokens.push(context.calculateInputLength(job.query, document));
  }
  console.log(JSON.stringify({ vectors, scores, tokens } satisfies ReferenceResult));
  Deno.exit(0);
}

if (import.meta.main) await main();
