/**
 * Damaged inputs for everything that reads what strangers write. An input that ends in an unexpected error, or takes
 * longer than 20 seconds twice, is a crash: it is written to `tests/fuzz/corpus/`, and `tests/fuzz/corpus_test.ts` reads it
 * from then on.
 *
 * usage: deno task fuzz [--seconds N] [--seed N] [--target NAME]
 */
import { createSha256 } from "../../src/models/file/sha256.ts";
import { randomFrom } from "../support/random.ts";
import { taskFlags } from "../support/task_flags.ts";
import { type Target, TARGETS } from "./targets.ts";

/** Longer is a hang, on any machine. */
const SLOW_MS = 20_000;
const CORPUS = new URL("corpus/", import.meta.url);

/**
 * Why an input is a crash; undefined: it was read or refused. One that takes too long is read once more: the process
 * may have been stopped for that long, or had no processor.
 */
export async function crash({ run, refuses }: Target, input: string, slowMs = SLOW_MS): Promise<string | undefined> {
  let tookMs = 0;
  for (let tries = 0; tries < 2; tries++) {
    const begun = performance.now();
    try {
      await run(input);
    } catch (error) {
      if (!refuses.some((kind) => error instanceof kind)) return error instanceof Error ? error.stack : String(error);
    }
    tookMs = performance.now() - begun;
    if (tookMs <= slowMs) return undefined;
  }
  return `It took ${tookMs.toFixed(0)} ms, twice`;
}

/** Fuzz one target; how many inputs, and those that crashed. */
export async function fuzz(
  target: Target,
  { seconds, seed }: { readonly seconds: number; readonly seed: number },
): Promise<{ readonly inputs: number; readonly crashes: ReadonlyMap<string, string> }> {
  const random = randomFrom(seed);
  const crashes = new Map<string, string>();
  const until = performance.now() + seconds * 1000;
  let inputs = 0;
  while (performance.now() < until) {
    let input = target.seeds[inputs % target.seeds.length] ?? "";
    for (let rounds = 1 + Math.floor(random() * 3); rounds > 0; rounds--) input = target.damage(random, input);
    inputs++;
    const why = await crash(target, input);
    if (why !== undefined) crashes.set(input, why);
  }
  return { inputs, crashes };
}

async function nameOf(target: string, input: string): Promise<string> {
  const hash = await createSha256();
  hash.update(new TextEncoder().encode(input));
  return `${target}-${hash.digest("hex").slice(0, 12)}`;
}

if (import.meta.main) {
  const names = Object.keys(TARGETS);
  const flags = taskFlags(Deno.args, "deno task fuzz [--seconds N] [--seed N] [--target NAME]", {
    seconds: "60",
    seed: "1",
    target: "",
  });
  const chosen = flags.target === "" ? names : names.filter((name) => name === flags.target);
  const [seconds, seed] = [Number(flags.seconds), Number(flags.seed)];
  if (chosen.length === 0 || !(seconds > 0) || !Number.isSafeInteger(seed)) {
    console.error(`--target must be one of ${names.join(", ")}, --seconds above 0, --seed an integer`);
    Deno.exit(2);
  }
  let failed = 0;
  for (const name of chosen) {
    const target = TARGETS[name];
    if (target === undefined) continue;
    const { inputs, crashes } = await fuzz(target, { seconds: seconds / chosen.length, seed });
    console.log(`${name}: ${inputs} inputs, ${crashes.size} crashes`);
    for (const [input, why] of crashes) {
      const path = new URL(await nameOf(name, input), CORPUS);
      await Deno.writeTextFile(path, input);
      console.error(`${path.pathname}\n${why}`);
    }
    failed += crashes.size;
  }
  Deno.exit(failed === 0 ? 0 : 1);
}
