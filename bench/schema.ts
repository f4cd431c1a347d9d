/**
 * Answers constrained by a schema: an object with long keys and short values, from llama-server and inferd, and next to
 * inferd's own free text. Every prompt is different.
 */
import { type Contender, type ContenderOptions, inTurns, type Results } from "./contenders.ts";
import { GREEDY, randomModel } from "./engine.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { StreamResult, Target } from "./load_job.ts";
import { wordPrompts } from "./prompts.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { median, type Row } from "./report.ts";
import { Inferd, LlamaServer, serveModel, type ServerOptions } from "./servers.ts";

const SECTION = "Answers by a schema, random Llama, 203 M, Q8_0";
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
  const { load, progress, rounds, quick } = options;
  progress.step(`${SECTION}: starting`);
  await using servers = new AsyncDisposableStack();
  const contenders = await startBoth(servers, options);
  const prompts = wordPrompts(12);
  const rows: Row[] = [];
  for (const clients of CLIENTS) {
    const results: Record<Kind, StreamResult[]> = { peer: [], ours: [], free: [] };
    // The first round is a warm-up.
    for (let round = 0; round <= rounds; round++) {
      progress.at(round / (rounds + 1), `${SECTION}: ${clients} clients, round ${round} of ${rounds}`);
      const shares = Array.from({ length: clients }, () => Array.from({ length: quick ? 1 : ANSWERS }, prompts));
      const run = (target: Target, isFree: boolean): Promise<StreamResult> =>
        load.run({
          kind: "stream",
          target,
          prompts: shares,
          maxTokens: isFree ? FREE_TOKENS : MOST_TOKENS,
          sampling: GREEDY,
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
    rows.push(...rowsOf(clients, results));
  }
  return rows;
}

async function startBoth(
  servers: AsyncDisposableStack,
  options: SchemaBenchOptions,
): Promise<Contender[]> {
  const { peerFolder, peerOnly } = options;
  const serverOptions: ServerOptions = {
    model: await randomModel(options),
    threads: 2,
    parallel: 4,
    contextTokens: 1024,
  };
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

function rowsOf(clients: number, { peer, ours, free }: Record<Kind, readonly StreamResult[]>): Row[] {
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
    section: SECTION,
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
