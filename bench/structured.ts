/**
 * `deno run -A bench/structured.ts --data FILE`: conformance to JSON Schema on a corpus of schemas and values. See
 * `schema_corpus.ts` for the file format.
 */
import { parseArgs } from "@std/cli/parse-args";
import { type MaskTimes, measureMasks, readVocabulary } from "./mask_times.ts";
import { type CorpusResult, measureCorpus, quantile, readCorpus } from "./schema_corpus.ts";

const HELP = `Usage: deno run -A bench/structured.ts --data FILE [--vocabulary GGUF [--every N]] [--names] [--json]

Compiles every schema of FILE and follows the values that come with it.

  --data FILE  NDJSON, also gzipped: {"name","schema","tests":[{"valid","data"}]} on each line
  --vocabulary also measure token masks with the vocabulary of this GGUF file
  --every N    of every N-th schema only (default: 1)
  --names      also print the names of the schemas that do not pass
  --json       print JSON`;

/** Format the result. */
export function describe(result: CorpusResult): string[] {
  const { schemas, passing, uncompiled, invalidAccepted, mislabelled, validRefused, compileMs, pieceMs } = result;
  const ms = (inOrder: readonly number[], rank: number): string => quantile(inOrder, rank).toFixed(2);
  return [
    `schemas             ${schemas}`,
    `passing             ${passing} (${(100 * passing / schemas).toFixed(1)} %)`,
    `do not compile      ${uncompiled.length}`,
    `invalid accepted    ${invalidAccepted.length}`,
    `mislabelled         ${mislabelled.length} (a validator accepts the value, too)`,
    `valid refused       ${validRefused.length}`,
    `compile, ms         p50 ${ms(compileMs, 0.5)}, p95 ${ms(compileMs, 0.95)}, max ${ms(compileMs, 1)}`,
    `longest piece, ms   p50 ${ms(pieceMs, 0.5)}, p95 ${ms(pieceMs, 0.95)}, max ${ms(pieceMs, 1)}`,
  ];
}

/** Format the mask times. */
export function describeMasks({ us, stepUs, betweenUs, pieceUs }: MaskTimes): string[] {
  const line = (name: string, times: readonly number[]): string => {
    const average = times.reduce((sum, time) => sum + time, 0) / times.length;
    const [p50, p99, most] = [0.5, 0.99, 1].map((rank) => quantile(times, rank).toFixed(0));
    return `${name} average ${average.toFixed(0)}, p50 ${p50}, p99 ${p99}, max ${most} (${times.length})`;
  };
  return [
    line("masks, us          ", us),
    line("cached in step, us ", stepUs),
    line("between steps, us  ", betweenUs),
    line("longest pieces, us ", pieceUs),
  ];
}

async function* everyNth<T>(all: AsyncIterable<T>, every: number): AsyncGenerator<T> {
  let at = 0;
  for await (const one of all) if (at++ % every === 0) yield one;
}

if (import.meta.main) {
  const { data, vocabulary, every = "1", names, json, help } = parseArgs(Deno.args, {
    string: ["data", "vocabulary", "every"],
    boolean: ["names", "json", "help"],
    alias: { help: "h" },
  });
  if (help || data === undefined || data === "") {
    (help ? console.log : console.error)(HELP);
    Deno.exit(help ? 0 : 2);
  }
  const result = await measureCorpus(readCorpus(data));
  if (json) console.log(JSON.stringify(result));
  else console.log(describe(result).join("\n"));
  if (vocabulary !== undefined) {
    const masks = await measureMasks(everyNth(readCorpus(data), Number(every)), await readVocabulary(vocabulary));
    console.log(json ? JSON.stringify(masks) : describeMasks(masks).join("\n"));
  }
  if (names && !json) {
    for (const kind of ["invalidAccepted", "mislabelled", "validRefused", "uncompiled"] as const) {
      for (const name of result[kind]) console.log(`${kind} ${name}`);
    }
  }
}
