/**
 * The memory budget: whether weights and a context fit. Checked before memory is requested from the system, which
 * promises more than it has and kills the process that uses it.
 */

/** Of the memory that is available, what the engine may take. */
const MEMORY_SHARE = 0.9;
/** The smallest context, unless a smaller one was configured. */
const LEAST_CONTEXT_TOKENS = 512;
/** Contexts are lowered to multiples of this. */
const CONTEXT_STEP = 256;
/** A control group's limit above this is none. */
const NO_LIMIT = 2 ** 60;

/** What a model needs, and what there is. */
export interface MemoryBudget {
  /** Before the model was loaded: whether its weights are copied or only mapped, they count once. */
  readonly available: number;
  readonly weightBytes: number;
  /** For each token of context; 0 if that is not known. */
  readonly bytesPerToken: number;
}

/**
 * What is left for a context, in bytes.
 *
 * @param budget What the model needs, and what there is.
 * @returns Bytes; negative if the weights alone take more than they should.
 */
export function contextBytes({ available, weightBytes }: MemoryBudget): number {
  return available * MEMORY_SHARE - weightBytes;
}

/** Memory does not suffice; the message is for the operator and has the numbers. */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
}

/**
 * Memory this process may still take, in bytes: what the system has, and what its control group allows. File pages that
 * the system can let go count as available, so weights that are already in them do.
 *
 * @returns Bytes.
 */
export function availableBytes(): number {
  const { available } = Deno.systemMemoryInfo();
  return Math.min(available, groupBytes() ?? Infinity);
}

function groupBytes(): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const read = (name: string): number => Number(Deno.readTextFileSync(`/sys/fs/cgroup/${name}`).trim());
  try {
    const limit = read("memory.max");
    return limit < NO_LIMIT ? Math.max(0, limit - read("memory.current")) : undefined;
  } catch {
    return undefined; // no such limit, or not to be seen
  }
}

/**
 * Whether the weights fit.
 *
 * @param path What messages call the model.
 * @param weightBytes How large they are.
 * @param available Memory there is, in bytes.
 * @throws {MemoryError} If they do not.
 */
export function checkWeights(path: string, weightBytes: number, available: number): void {
  if (weightBytes <= available) return;
  throw new MemoryError(
    `Cannot load "${path}": its weights take ${mebibytes(weightBytes)}, available are ${mebibytes(available)}`,
  );
}

/**
 * How large a context can be.
 *
 * @param wanted Tokens one request should be able to use.
 * @param options `budget`, and whether `wanted` was asked for: then it is not lowered.
 * @returns Tokens one request can use.
 * @throws {MemoryError} If not even a small one fits, or not the one that was asked for.
 */
export function fitContext(
  wanted: number,
  options: { readonly budget: MemoryBudget; readonly asked: boolean },
): number {
  const { budget, asked } = options;
  const { available, weightBytes, bytesPerToken } = budget;
  const left = contextBytes(budget);
  if (wanted * bytesPerToken <= left) return wanted;
  const fitting = Math.floor(left / bytesPerToken / CONTEXT_STEP) * CONTEXT_STEP;
  if (!asked && fitting >= LEAST_CONTEXT_TOKENS) return fitting;
  throw new MemoryError(
    `There is not enough memory for a context of ${wanted} tokens: it takes ${mebibytes(wanted * bytesPerToken)} ` +
      `beside weights of ${mebibytes(weightBytes)}, available are ${mebibytes(available)}`,
  );
}

/** For people. */
function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 0x100000)} MiB`;
}

/** How the cells of a context are divided among its sequences. */
export interface MemoryLayout {
  /** Tokens that fit in, over all sequences. */
  readonly cells: number;
  /** Each sequence has as many cells of its own; otherwise any sequence may use any. */
  readonly apart: boolean;
}

/**
 * Ways to lay out the cells of a context, the best first: as many as every sequence could use, apart, so that attention
 * does not pass by what belongs to others; where memory is short, shared cells, fewer and fewer, down to one request's.
 *
 * @param model Recurrent memory has a place for each sequence anyway, and is not divided.
 * @param options.kept Cells of each sequence that is kept besides.
 * @returns The layouts that fit; the last always does, or the model would not have been loaded.
 */
export function memoryLayouts(
  model: { readonly wholeSequencesOnly: boolean; readonly bytesPerToken: number },
  { contextTokens, parallel, kept, memoryBytes }: {
    readonly contextTokens: number;
    readonly parallel: number;
    readonly kept: readonly number[];
    readonly memoryBytes: number;
  },
): MemoryLayout[] {
  const fits = ({ cells }: MemoryLayout): boolean => cells * model.bytesPerToken <= memoryBytes;
  const layouts: MemoryLayout[] = [];
  if (!model.wholeSequencesOnly) layouts.push({ cells: contextTokens * (parallel + kept.length), apart: true });
  const keptCells = kept.reduce((sum, cells) => sum + cells, 0);
  for (let share = parallel; share > 1; share = Math.floor(share / 2)) {
    layouts.push({ cells: contextTokens * share + keptCells, apart: false });
  }
  return [...layouts.filter(fits), { cells: contextTokens + keptCells, apart: false }];
}
