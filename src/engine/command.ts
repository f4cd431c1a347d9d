/**
 * The command line of the engine process. Pure, and imports nothing of the engine: the daemon uses it and never loads
 * what the engine loads.
 *
 * What the process holds while it starts: reading (the model; the libraries, wherever the npm cache is) and `ffi`. No
 * net, no write, no run, and it sees no environment variable. Before it reports `ready` it gives back all of it
 * (`main.ts`), so that what parses requests holds no permission at all.
 */

/** How to start an engine. */
export interface EngineCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
}

/** A step allocates little; a larger young generation would only make the process larger. */
const V8_FLAGS = "--max-semi-space-size=1";

/**
 * The command line of the engine process.
 *
 * A program made by `deno compile` has no `deno run`: there the engine would have to be the same executable, told by
 * an argument of its own to run `main.ts` of this folder, with the permissions compiled in.
 *
 * @param _modelPath Not needed: reading cannot be narrowed to it, the npm cache is read too and its place is not known.
 */
export function engineCommand(_modelPath?: string): EngineCommand {
  return {
    command: Deno.execPath(),
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--v8-flags=${V8_FLAGS}`,
      "--allow-read",
      "--allow-ffi",
      "--allow-sys=homedir,systemMemoryInfo",
      "--ignore-env",
      import.meta.resolve("./main.ts"),
    ],
  };
}
