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

/** With this as its first argument, an executable made by `deno compile` is the engine. */
export const ENGINE_ARGUMENT = "engine";

/**
 * The command line of the engine process. The permissions of an executable made by `deno compile` are fixed; there the
 * engine is the same executable, and gives back at once what the flags below do not give.
 *
 * @returns How to start it. Reading cannot be narrowed to the model: the npm cache is read too, and its place is not
 * known.
 */
export function engineCommand(): EngineCommand {
  if (Deno.build.standalone) return { command: Deno.execPath(), args: [ENGINE_ARGUMENT] };
  return {
    command: Deno.execPath(),
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--v8-flags=${V8_FLAGS}`,
      // How a program from elsewhere gets at its CPU code (`cpu_code.ts`).
      "--unstable-raw-imports",
      "--allow-read",
      "--allow-ffi",
      "--allow-sys=homedir,systemMemoryInfo",
      "--ignore-env",
      import.meta.resolve("./main.ts"),
    ],
  };
}
