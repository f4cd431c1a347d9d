/**
 * Cost of a grammar: same model, prompts and number of tokens, constrained to JSON and not, alternating. With random
 * weights nearly every likely token is rejected, the worst case.
 */
import type { Progress } from "../src/cli/terminal/progress.ts";
import { randomModel } from "./engine.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { LoadSampling, StreamResult } from "./load_job.ts";
import { wordPrompts } from "./prompts.ts";
import { median, type Row } from "./report.ts";
import { Inferd, serveModel } from "./servers.ts";

const SECTION = "JSON by a grammar, random Llama, 203 M, Q8_0";
const TOKENS_PER_ANSWER = 128;
const ANSWERS = 3;
/** A list that no answer reaches the end of. */
const GRAMMAR = String.raw`
root    ::= "[" item (", " item){200,} "]"
item    ::= "{\"id\": " integer ", \"name\": " string ", \"kind\": " kind ", \"tags\": " tags ", \"score\": " number "}"
kind    ::= "\"red\"" | "\"green\"" | "\"blue\""
tags    ::= "[" (string (", " string)*)? "]"
integer ::= "0" | [1-9] [0-9]{0,8}
number  ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,2})?
string  ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})){0,24} "\""
`;
const SAMPLINGS: readonly (readonly [name: string, sampling: LoadSampling])[] = [
  ["greedy", { temperature: 0, topP: 1, topK: 0, seed: 1 }],
  ["sampled", { temperature: 1, topP: 0.95, topK: 64, seed: 1 }],
];

/** Options of this section. */
export interface GrammarBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly cache: string;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/**
 * Measure answers with and without a grammar.
 *
 * @param options Duration and tools.
 * @returns The lines of the table; the peer's column is without a grammar.
 */
export async function benchGrammar(options: GrammarBenchOptions): Promise<Row[]> {
  const { load, progress, rounds, quick } = options;
  const model = await randomModel(options);
  progress.step(`${SECTION}: starting`);
  await using daemon = await Inferd.start(serveModel({ model, threads: 2, parallel: 1, contextTokens: 1024 }));
  const prompts = wordPrompts(8);
  const rows: Row[] = [];
  for (const [name, sampling] of SAMPLINGS) {
    const speeds = { peer: [] as number[], ours: [] as number[] };
    // The first round is a warm-up.
    for (let round = 0; round <= rounds; round++) {
      progress.at(round / (rounds + 1), `${SECTION}: ${name}, round ${round} of ${rounds}`);
      const share = Array.from({ length: quick ? 1 : ANSWERS }, prompts);
      const order = round % 2 === 0 ? ["peer", "ours"] as const : ["ours", "peer"] as const;
      for (const side of order) {
        const result = await load.run({
          kind: "stream",
          target: daemon.target,
          prompts: [share],
          maxTokens: TOKENS_PER_ANSWER,
          sampling,
          ...(side === "ours" && { grammar: GRAMMAR }),
        });
        if (round > 0) speeds[side].push(speedOf(result));
      }
    }
    rows.push({
      section: SECTION,
      figure: `1 client, ${name}: speed, no grammar in the peer's column`,
      unit: "tokens/s",
      peer: median(speeds.peer),
      ours: median(speeds.ours),
      goal: { kind: "ratio-at-least", value: 0.8 },
    });
  }
  return rows;
}

function speedOf({ wallMs, answers }: StreamResult): number {
  return answers.reduce((tokens, answer) => tokens + answer.tokens, 0) / wallMs * 1000;
}
