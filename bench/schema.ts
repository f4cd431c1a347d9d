/**
 * Answers constrained by a schema: an object with long keys and short values, from llama-server and inferd, and next to
 * inferd's own free text; of a model with a small vocabulary and one with a large one. Every prompt is different.
 */
import { join } from "@std/path";
import { type Contender, type ContenderOptions, inTurns, type Results } from "./contenders.ts";
import { GREEDY, randomModel, SAMPLED } from "./engine.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { StreamResult, Target } from "./load_job.ts";
import { wordPrompts } from "./prompts.ts";
import { WIDE_VOCABULARY_SHAPE, writeRandomModel } from "./random_gguf.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { median, type Row } from "./report.ts";
import { Inferd, LlamaServer, serveModel, type ServerOptions } from "./servers.ts";

/** Section for a model. */
const sectionOf = (model: string): string => `Answers by a schema, random Llama, ${model}, Q8_0`;
/** Path in llama.cpp's source, from which the peer is built. */
const WIDE_TOKENIZER = ["peer", "llama.cpp", "models", "ggml-vocab-qwen2.gguf"];
const CLIENTS = [1, 4] as const;
/** Answers per client and round. */
const ANSWERS = 3;
const MOST_TOKENS = 400;
/** About the number of tokens in an object. */
const FREE_TOKENS = 90;
const SCHEMA = {
  type: "object",
  properties: {
    identification_number_of_the_customer: { type: "integer", minimum: 0, maximum: 9999 },
    preferred_language_of_the_customer: { enum: ["en", "de", "fr"] },
    number_of_orders_in_the_last_year: { type: "integer", minimum: 0, maximum: 99 },
    has_confirmed_the_electronic_address: { type: "boolean" },
    short_name_of_the_customer: { type: "string", maxLength: 6 },
    current_state_of_the_subscription: { enum: ["new", "paid", "late"] },
    year_of_the_first_registration: { type: "integer", minimum: 1990, maximum: 2030 },
    wants_to_receive_the_newsletter: { type: "boolean" },
  },
  required: [
    "identification_number_of_the_customer",
    "preferred_language_of_the_customer",
    "number_of_orders_in_the_last_year",
    "has_confirmed_the_electronic_address",
    "short_name_of_the_customer",
    "current_state_of_the_subscription",
    "year_of_the_first_registration",
    "wants_to_receive_the_newsletter",
  ],
  additionalProperties: false,
};

/** Options of this section. */
export interface SchemaBenchOptions extends ContenderOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly cache: string;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/** Kinds of answers. */
type Kind = "peer" | "ours" | "free";

/**
 * Measure answers with a schema.
 *
 * @param options Duration and tools.
 * @returns The lines of the table.
 */
export async function benchSchema(options: SchemaBenchOptions): Promise<Row[]> {
  const rows = await benchModel({ name: sectionOf("203 M"), path: await randomModel(options) }, options);
  const wide = await wideModel(options);
  if (wide === undefined) {
    options.progress.note("llama.cpp's source, which has a large vocabulary, is missing; going on without that model");
    return rows;
  }
  return [...rows, ...await benchModel({ name: sectionOf("vocabulary of 152 000"), path: wide }, options)];
}

/** Path of a small model with a vocabulary as large as in newer families; written on first use. */
async function wideModel({ cache, progress }: SchemaBenchOptions): Promise<string | undefined> {
  const tokenizerFrom = join(cache, ...WIDE_TOKENIZER);
  const path = join(cache, "random-152k-q8_0.gguf");
  if (await exists(path)) return path;
  if (!await exists(tokenizerFrom)) return undefined;
  progress.step("writing a model with a large vocabulary");
  await writeRandomModel(path, {
    tokenizerFrom,
    shape: WIDE_VOCABULARY_SHAPE,
    seed: 1,
    onProgress: (fraction) => progress.at(fraction),
  });
  return path;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function benchModel(
  { name, path }: { readonly name: string; readonly path: string },
  options: SchemaBenchOptions,
): Promise<Row[]> {
  const { load, progress, rounds, quick } = options;
  progress.step(`${name}: starting`);
  await using servers = new AsyncDisposableStack();
  const contenders = await startBoth(servers, path, options);
  const prompts = wordPrompts(12);
  const rows: Row[] = [];
  for (const clients of CLIENTS) {
    const results: Record<Kind, StreamResult[]> = { peer: [], ours: [], free: [] };
    // The first round is a warm-up.
    for (let round = 0; round <= rounds; round++) {
      progress.at(round / (rounds + 1), `${name}: ${clients} clients, round ${round} of ${rounds}`);
      const shares = Array.from({ length: clients }, () => Array.from({ length: quick ? 1 : ANSWERS }, prompts));
      const run = (target: Target, isFree: boolean): Promise<StreamResult> =>
        load.run({
          kind: "stream",
          target,
          prompts: shares,
          maxTokens: isFree ? FREE_TOKENS : MOST_TOKENS,
          // Greedy free text of random weights repeats itself, and speculation makes that fast.
          sampling: isFree ? SAMPLED : GREEDY,
          ...(isFree ? {} : { schema: SCHEMA }),
        });
      for (const { side, server } of inTurns(contenders, round)) {
        const result = await run(server.target, false);
        if (round > 0) results[side].push(result);
        if (side !== "ours") continue;
        const free = await run(server.target, true);
        if (round > 0) results.free.push(free);
      }
    }
    rows.push(...rowsOf(name, clients, results));
  }
  return rows;
}

async function startBoth(
  servers: AsyncDisposableStack,
  model: string,
  { peerFolder, peerOnly }: SchemaBenchOptions,
): Promise<Contender[]> {
  const serverOptions: ServerOptions = { model, threads: 2, parallel: 4, contextTokens: 1024 };
  const contenders: Contender[] = [];
  if (peerFolder !== undefined) {
    const server = servers.use(await LlamaServer.start(peerFolder, serverOptions, "chat"));
    contenders.push({ side: "peer", server });
  }
  if (peerOnly) return contenders;
  const daemon = servers.use(await Inferd.start(serveModel(serverOptions), {}, "infer.v2.sock"));
  const target: Target = { protocol: "inferd-v2", path: daemon.target.path };
  contenders.push({ side: "ours", server: { target, [Symbol.asyncDispose]: () => Promise.resolve() } });
  return contenders;
}

function rowsOf(
  section: string,
  clients: number,
  { peer, ours, free }: Record<Kind, readonly StreamResult[]>,
): Row[] {
  const name = clients === 1 ? "1 client" : `${clients} clients`;
  const row = (
    figure: string,
    { unit, of, sides = { peer, ours }, goal }: {
      readonly unit: string;
      readonly of: (result: StreamResult) => number;
      readonly sides?: { readonly [Side in keyof Results]: readonly StreamResult[] };
      readonly goal?: number;
    },
  ): Row => ({
    section,
    figure: `${name}: ${figure}`,
    unit,
    ...(sides.peer.length > 0 && { peer: median(sides.peer.map(of)) }),
    ...(sides.ours.length > 0 && { ours: median(sides.ours.map(of)) }),
    ...(goal !== undefined && { goal: { kind: "ratio-at-least", value: goal } }),
  });
  const speed = ({ answers, wallMs }: StreamResult): number =>
    answers.reduce((sum, { tokens }) => sum + tokens, 0) / wallMs * 1000;
  return [
    row("speed", { unit: "tokens/s", of: speed, goal: 1.5 }),
    row("answers", { unit: "1/s", of: ({ answers, wallMs }) => answers.length / wallMs * 1000 }),
    row("tokens of an answer", {
      unit: "tokens",
      of: ({ answers }) => answers.reduce((sum, { tokens }) => sum + tokens, 0) / answers.length,
    }),
    row("speed, free text in the peer's column", {
      unit: "tokens/s",
      of: speed,
      sides: { peer: free, ours },
      goal: 1.1,
    }),
  ];
}
