/**
 * What generation v2 costs beside v1: the same daemon, model and requests, in turns.
 */
import { join } from "@std/path";
import type { Progress } from "../src/cli/progress.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { StreamResult, Target } from "./load_job.ts";
import { storyPrompts } from "./prompts.ts";
import { median, type Row } from "./report.ts";
import { Inferd, PROJECT, serveModel } from "./servers.ts";

const SECTION = "Generation v2 beside v1, built-in model";
const CLIENTS = [1, 4] as const;
const ANSWERS = 40;

/** What this section is given. */
export interface SurfacesBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/**
 * Measure v2 beside v1.
 *
 * @param options How long, and with what.
 * @returns The lines of the table; v1 stands in the peer's column.
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
    const speeds = { peer: [] as number[], ours: [] as number[] };
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      progress.at(round / (rounds + 1), `${SECTION}: ${clients} clients, round ${round} of ${rounds}`);
      const share = Array.from(
        { length: clients },
        () => Array.from({ length: Math.ceil((quick ? ANSWERS / 2 : ANSWERS) / clients) }, prompts),
      );
      const order = round % 2 === 0 ? ["peer", "ours"] as const : ["ours", "peer"] as const;
      for (const side of order) {
        const result = await load.run({
          kind: "stream",
          target: sides[side],
          prompts: share,
          maxTokens: 200,
          sampling: { temperature: 0, topP: 1, topK: 0, seed: 1 },
        });
        if (round > 0) speeds[side].push(speedOf(result));
      }
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

function speedOf({ wallMs, answers }: StreamResult): number {
  return answers.reduce((tokens, answer) => tokens + answer.tokens, 0) / wallMs * 1000;
}
