/** The accelerator of both servers, and its native libraries. */
import { dirname } from "@std/path";
import { ACCELERATOR_SETTINGS } from "../src/libraries/accelerator.ts";
import { type Candidate, chooseLibraries } from "../src/libraries/choice.ts";
import { LIBRARY_VERSION } from "../src/libraries/library_files.ts";
import { fullName, librariesIn } from "../src/libraries/packages.ts";
import { thisMachine } from "../src/engine/native/this_machine.ts";

/** What both servers compute on; the default is the CPU also where there is a GPU. */
export const ACCELERATOR: string = Deno.env.get("INFERD_BENCH_ACCELERATOR") || "cpu";

/** Whether that is a GPU. */
export const IS_ACCELERATED: boolean = ACCELERATOR !== "cpu";

/** Libraries of the accelerator. */
export interface AcceleratorLibraries {
  /** Folder with its backend. */
  readonly folder: string;
  /** Folders of the system's libraries that the backend needs. */
  readonly needs: readonly string[];
}

/**
 * Find the accelerator's libraries; npm's package is downloaded into Deno's cache if it is not there.
 *
 * @returns The libraries; undefined for the CPU.
 */
export async function acceleratorLibraries(): Promise<AcceleratorLibraries | undefined> {
  if (!IS_ACCELERATED) return undefined;
  const { packages, preload } = candidate();
  const name = packages.at(-1) ?? packages[0];
  // The specifier is computed, so that Deno fetches no other package.
  const { getBinsDir } = await import(`npm:${fullName(name)}@${LIBRARY_VERSION}`);
  const root = dirname(getBinsDir().binsDir);
  return { folder: librariesIn(root, name), needs: [...new Set(preload.map((path) => dirname(path)))] };
}

function candidate(): Candidate {
  const setting = ACCELERATOR_SETTINGS.find((known) => known === ACCELERATOR);
  if (setting === undefined || setting === "auto") {
    throw new TypeError(`INFERD_BENCH_ACCELERATOR must be cpu, cuda, vulkan or metal, got "${ACCELERATOR}"`);
  }
  return chooseLibraries(setting, thisMachine((name) => Deno.env.get(name))).candidates[0];
}
