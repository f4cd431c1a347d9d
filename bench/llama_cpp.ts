/**
 * Builds programs from llama.cpp's source in node-llama-cpp's package, the same source as the engine's library. The
 * caller chooses the targets.
 */
import { fromFileUrl, join } from "@std/path";
import { TextLineStream } from "@std/streams/text-line-stream";
import { spawn } from "./processes.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { denoFolders } from "../src/engine/native/libraries.ts";
import { LIBRARY_VERSION } from "../src/libraries/library_files.ts";
import { thisMachine } from "../src/engine/native/this_machine.ts";

/** The build is not possible; the message says what is missing. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

/** Options of a build. */
export interface Build {
  /** Folder for source and build, replaced if it exists. */
  readonly folder: string;
  readonly targets: readonly string[];
  /** cmake flags. `source`: path of the source. */
  readonly flags: (source: string) => readonly string[];
  readonly progress: Progress;
}

/**
 * Path of the built programs and libraries.
 *
 * @param folder {@linkcode Build.folder}.
 * @returns The folder.
 */
export function builtFolder(folder: string): string {
  return join(folder, "llama.cpp-build", "bin");
}

/**
 * Unpack the source and build it.
 *
 * @param build The options.
 * @throws {BuildError} If a build tool is missing or the build fails.
 */
export async function buildLlamaCpp({ folder, targets, flags, progress }: Build): Promise<void> {
  const source = join(folder, "llama.cpp");
  const build = join(folder, "llama.cpp-build");
  const missing = [];
  if (!await runs("git")) missing.push("git");
  if (!await runs("cmake")) missing.push("cmake");
  if (!await runs("c++") && !await runs("clang++")) missing.push("a C++ compiler");
  if (missing.length > 0) throw new BuildError(`To build llama.cpp, ${missing.join(", ")} is missing`);

  const bundle = await sourceBundle();
  progress.step("llama.cpp: unpacking the source");
  await Promise.all([source, build].map((path) => Deno.remove(path, { recursive: true }).catch(() => {})));
  await command("git", ["clone", "--quiet", bundle, source]);
  progress.step("llama.cpp: configuring");
  const generator = await runs("ninja") ? ["-G", "Ninja"] : [];
  await command("cmake", ["-S", source, "-B", build, ...generator, "-DCMAKE_BUILD_TYPE=Release", ...flags(source)]);
  progress.step("llama.cpp: building");
  const jobs = `${navigator.hardwareConcurrency}`;
  await command("cmake", ["--build", build, "--parallel", jobs, "--target", ...targets], (line) => {
    const [, done, total] = /^\[\s*(\d+)(?:\/(\d+)|%)\]/.exec(line) ?? [];
    if (done !== undefined) progress.at(Number(done) / Number(total ?? 100));
  });
}

/** The git bundle in node-llama-cpp's package. */
async function sourceBundle(): Promise<string> {
  // Downloads the package if needed.
  await command(Deno.execPath(), [
    "cache",
    "--quiet",
    fromFileUrl(import.meta.resolve("../src/engine/chat/render/chat_wrappers.ts")),
  ]);
  const machine = thisMachine((name) => Deno.env.get(name));
  const bundle = denoFolders(machine)
    .map((folder) => `${folder}/node-llama-cpp/${LIBRARY_VERSION}/llama/gitRelease.bundle`)
    .find(machine.exists);
  if (bundle === undefined) {
    throw new BuildError("node-llama-cpp's package does not carry llama.cpp's source");
  }
  return bundle;
}

async function runs(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

async function command(program: string, args: string[], onLine: (line: string) => void = () => {}): Promise<void> {
  const child = spawn(program, { args, stdin: "null", stdout: "piped", stderr: "piped" });
  let last = "";
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      if (line.trim() !== "") last = line;
      onLine(line);
    }
  };
  await Promise.all([read(child.stdout), read(child.stderr)]);
  const { success, code } = await child.status;
  if (!success) throw new BuildError(`"${program} ${args[0] ?? ""}" ended with ${code}: ${last}`);
}
