/**
 * Memory budget: whether weights and context fit. Checked before allocation, because Linux overcommits and kills the
 * process that uses the memory.
 */
import { groupBytes } from "./libc/control_group.ts";
import { kernelFiles } from "./libc/kernel_files.ts";

/** Share of the available memory that the engine may use. */
const MEMORY_SHARE = 0.9;
/** Share of the available memory up to which weights are copied. */
const COPIED_SHARE = 0.5;
/** Minimum context, unless a smaller one is configured. */
const LEAST_CONTEXT_TOKENS = 512;
/** Reduced contexts are multiples of this. */
const CONTEXT_STEP = 256;

/** Memory needs of a model, and memory available. */
export interface MemoryBudget {
  /** Before loading, so that weights count once, whether copied or mapped. */
  readonly available: number;
  readonly weightBytes: number;
  /** KV cache bytes per token; 0 if unknown. */
  readonly bytesPerToken: number;
}

/**
 * Memory left for the context, in bytes.
 *
 * @returns Bytes; negative if the weights alone exceed the budget.
 */
export function contextBytes({ available, weightBytes }: MemoryBudget): number {
  return available * MEMORY_SHARE - weightBytes;
}

/** Not enough memory; the message is for the operator and has the numbers. */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
}

/**
 * Memory still available to this process: the system's, within the limits of control groups. Reclaimable page cache
 * counts as available, including cached weights.
 *
 * @returns Bytes.
 */
export function availableBytes(): number {
  const kernel = kernelFiles();
  const { available } = Deno.systemMemoryInfo();
  return Math.min(available, (kernel && groupBytes(kernel.text)) ?? Infinity);
}

/**
 * Whether weights are copied rather than mapped, unless configured otherwise. Large pages are to be had for copies only;
 * but mapped weights are memory that the kernel can give to somebody else.
 *
 * @param weightBytes Their size.
 * @param available Available memory in bytes.
 */
export function copiesWeights(weightBytes: number, available: number): boolean {
  return weightBytes <= available * COPIED_SHARE;
}

/**
 * Check that the weights fit.
 *
 * @param available Available memory in bytes.
 * @throws {MemoryError} If they do not fit.
 */
export function checkWeights(path: string, weightBytes: number, available: number): void {
  if (weightBytes <= available) return;
  throw new MemoryError(
    `Cannot load "${path}": its weights take ${mebibytes(weightBytes)}, but only ${mebibytes(available)} is available`,
  );
}

/**
 * Largest context that fits.
 *
 * @param wanted Desired tokens per request.
 * @param options `budget`, and whether `wanted` was configured: then it is not lowered.
 * @returns Tokens per request.
 * @throws {MemoryError} If the configured context, or even the minimum, does not fit.
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
  const most = fitting >= CONTEXT_STEP ? `. At most ${fitting} tokens fit` : "";
  throw new MemoryError(
    `There is not enough memory for a context of ${wanted} tokens: it takes ${mebibytes(wanted * bytesPerToken)} ` +
      `besides weights of ${mebibytes(weightBytes)}, but only ${mebibytes(available)} is available${most}`,
  );
}

export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 0x100000)} MiB`;
}

export interface MemoryLayout {
  /** Number of cells over all sequences. */
  readonly cells: number;
  /** Whether each sequence has separate cells; otherwise all sequences share them. */
  readonly apart: boolean;
}

/**
 * Candidate layouts, best first: full-size separate cells, so that attention skips other sequences; then shared cells,
 * halving the total down to a single request's.
 *
 * @param model Recurrent memory has one state per sequence and is not divided.
 * @param options.kept Cells of each additional kept sequence.
 * @returns Layouts that fit. The last one always does, or the model would not have loaded.
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
