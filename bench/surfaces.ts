/** Cost of generation v2 relative to v1: same daemon, model and requests, alternating. */
import { join } from "@std/path";
import type { Progress } from "../src/cli/terminal/progress.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { StreamResult, Target } from "./load_job.ts";
import { storyPrompts } from "./prompts.ts";
import { median, type Row } from "./report.ts";
import { Inferd, PROJECT, serveModel } from "./servers.ts";

const SECTION = "Generation v2 beside v1, built-in model";
const CLIENTS = [1, 4] as const;
/** Answers per turn: half a second. */
const ANSWERS = 20;
type Side = "peer" | "ours";
const SIDES = ["peer", "ours"] as const satisfies readonly Side[];
/** Alternating back and forth, so that temporary changes in the machine's speed affect both sides. */
const TURNS = Array.from({ length: 2 }, () => [SIDES, SIDES.toReversed()]).flat();

/** Options of this section. */
export interface SurfacesBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/**
 * Measure v2 against v1.
 *
 * @param options Duration and tools.
 * @returns The lines of the table; v1 is in the peer's column.
 */
export async function benchSurfaces(options: SurfacesBenchOptions): Promise<Row[]> {
  const { load, progress, rounds, quick } = options;
  await using daemon = await Inferd.start(serveModel({
    model: join(PROJECT, "models", "inferd-tiny.gguf"),
    threads: 2,
    parallel: 4,
    contextTokens: 1024,
  }));
  const v2: Target = { protocol: "inferd-v2", path: daemon.target.path.replace(/infer\.sock$/, "infer.v2.sock") };
  const sides = { peer: daemon.target, ours: v2 } as const;
  const prompts = storyPrompts();
  const rows: Row[] = [];
  for (const clients of CLIENTS) {
    const speeds: Record<Side, number[]> = { peer: [], ours: [] };
    // The first round is a warm-up.
    for (let round = 0; round <= rounds; round++) {
      progress.at(round / (rounds + 1), `${SECTION}: ${clients} clients, round ${round} of ${rounds}`);
      const answers: Record<Side, StreamResult[]> = { peer: [], ours: [] };
      for (const order of TURNS) {
        const share = Array.from(
          { length: clients },
          () => Array.from({ length: Math.ceil((quick ? ANSWERS / 2 : ANSWERS) / clients) }, prompts),
        );
        for (const side of order) {
          answers[side].push(
            await load.run({
              kind: "stream",
              target: sides[side],
              prompts: share,
              maxTokens: 200,
              sampling: { temperature: 0, topP: 1, topK: 0, seed: 1 },
            }),
          );
        }
      }
      if (round > 0) { for (const side of SIDES) speeds[side].push(speedOf(answers[side])); }
    }
    rows.push({
      section: SECTION,
      figure: `${clients} ${clients === 1 ? "client" : "clients"}: speed, v1 in the peer's column`,
      unit: "tokens/s",
      peer: median(speeds.peer),
      ours: median(speeds.ours),
      goal: { kind: "ratio-at-least", value: 0.98 },
    });
  }
  return rows;
}

function speedOf(turns: readonly StreamResult[]): number {
  const sum = (of: (turn: StreamResult) => number): number => turns.reduce((total, turn) => total + of(turn), 0);
  const tokens = sum(({ answers }) => answers.reduce((tokens, answer) => tokens + answer.tokens, 0));
  return tokens / sum(({ wallMs }) => wallMs) * 1000;
}
