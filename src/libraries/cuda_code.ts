/**
 * The cards that npm's CUDA code runs on. It is ready-made for some; for others NVIDIA's driver compiles it, which only
 * a driver as new as the toolkit that made it can do. Where it cannot, llama.cpp ends the process. Pure.
 */

/** What NVIDIA's driver says of itself and the cards. */
export interface CudaDriver {
  /** Newest CUDA release it supports, as 1000 × major + 10 × minor. */
  readonly release: number;
  /** Compute capability of each card; 90 is 9.0. */
  readonly capabilities: readonly number[];
}

/**
 * By CUDA release: the toolkit that npm's package was made with, the first driver for it, the oldest cards it has code
 * for, and the cards whose code is ready-made, which newer cards of the same major version run too.
 */
const CODE = {
  13: { toolkit: 13_010, driver: 590, least: 75, ready: [86, 89, 120, 121] },
  12: { toolkit: 12_040, driver: 550, least: 50, ready: [86] },
} as const;

/**
 * Why a driver cannot run the code.
 *
 * @param runtime CUDA release of the package.
 * @param driver The driver.
 * @returns The reason, if it cannot.
 */
export function codeRefusal(runtime: 12 | 13, { release, capabilities }: CudaDriver): string | undefined {
  const { toolkit, driver, least, ready } = CODE[runtime];
  const oldest = Math.min(...capabilities);
  if (oldest < least) {
    return `npm's code for CUDA ${runtime} is for compute capability ${dotted(least)} and newer, found ${
      dotted(oldest)
    }`;
  }
  if (release >= toolkit) return undefined;
  const compiled = capabilities.find((one) => !ready.some((made) => major(made) === major(one) && made <= one));
  if (compiled === undefined) return undefined;
  return `npm's code for CUDA ${runtime} needs NVIDIA driver ${driver} or newer on a card of compute capability ${
    dotted(compiled)
  }`;
}

function major(capability: number): number {
  return Math.floor(capability / 10);
}

function dotted(capability: number): string {
  return `${major(capability)}.${capability % 10}`;
}
