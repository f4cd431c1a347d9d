/**
 * `inferd serve` as an executable made by `deno compile` runs it: this module is the executable, with all permissions and
 * `--unstable-worker-options`.
 */
import type { ProgramOptions } from "./program.ts";
import { CONFINED_ARGUMENT, runConfined } from "../../src/confinement/confined.ts";
import { runProgram, thisMachine } from "../../src/cli/program.ts";
import { runMonitor } from "../../src/cli/serve.ts";

const FIXED = ["-A", "--unstable-worker-options"];

/** Arguments that run a module as such an executable. */
export const SELF: readonly string[] = ["run", "--quiet", ...FIXED];

/** Has {@linkcode Sandbox} start it. */
export const COMPILED: ProgramOptions = { program: new URL(import.meta.url).pathname, permissions: FIXED };

/**
 * Run what the executable is started with.
 *
 * @param program The daemon's main module.
 * @param self Arguments that run the executable.
 */
export async function runCompiled(program: string, self: readonly string[]): Promise<void> {
  await runProgram(([first, ...args]) =>
    first === CONFINED_ARGUMENT ? runConfined(args) : runMonitor(args, thisMachine(), { program, self })
  );
}

if (import.meta.main) {
  await runCompiled(import.meta.resolve("../../src/cli/daemon_main.ts"), [...SELF, import.meta.url]);
}
