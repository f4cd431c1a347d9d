/**
 * llama-server and llama-bench, built once from the source that ships in node-llama-cpp's package: the very source the
 * engine's own library is built from. Owns the build; runs no server.
 */
import { fromFileUrl, join } from "@std/path";
import { TextLineStream } from "@std/streams/text-line-stream";
import { spawn } from "./processes.ts";
import type { Progress } from "../src/cli/progress.ts";

const PROGRAMS = ["llama-server", "llama-bench"] as const;
const CMAKE_FLAGS = [
  "-DCMAKE_BUILD_TYPE=Release",
  "-DLLAMA_CURL=OFF",
  "-DLLAMA_OPENSSL=OFF",
  "-DLLAMA_BUILD_TESTS=OFF",
  "-DLLAMA_BUILD_EXAMPLES=OFF",
  "-DLLAMA_BUILD_UI=OFF",
];

/** The peer cannot be had; the message says what is missing. */
export class PeerUnavailableError extends Error {
  override readonly name = "PeerUnavailableError";
}

/**
 * The folder with the peer's programs; builds them if they are not there yet.
 *
 * @param cache Where the benchmark keeps its files.
 * @param progress Whom to tell how far the build is.
 * @returns The folder.
 * @throws {PeerUnavailableError} If something to build with is missing, or the build fails.
 */
export async function peerFolder(cache: string, progress: Progress): Promise<string> {
  const source = join(cache, "llama.cpp");
  const build = join(cache, "llama.cpp-build");
  const folder = join(build, "bin");
  if (await complete(folder)) return folder;
  const missing = [];
  if (!await runs("git")) missing.push("git");
  if (!await runs("cmake")) missing.push("cmake");
  if (!await runs("c++") && !await runs("clang++")) missing.push("a C++ compiler");
  if (missing.length > 0) throw new PeerUnavailableError(`To build llama-server, ${missing.join(", ")} is missing`);

  const bundle = await sourceBundle();
  progress.step("llama.cpp: unpacking the source");
  await Promise.all([source, build].map((path) => Deno.remove(path, { recursive: true }).catch(() => {})));
  await command("git", ["clone", "--quiet", bundle, source]);
  progress.step("llama.cpp: configuring");
  const generator = await runs("ninja") ? ["-G", "Ninja"] : [];
  await command("cmake", ["-S", source, "-B", build, ...generator, ...CMAKE_FLAGS]);
  progress.step("llama.cpp: building");
  const jobs = `${navigator.hardwareConcurrency}`;
  await command("cmake", ["--build", build, "--parallel", jobs, "--target", ...PROGRAMS], (line) => {
    const [, done, total] = /^\[\s*(\d+)(?:\/(\d+)|%)\]/.exec(line) ?? [];
    if (done !== undefined) progress.at(Number(done) / Number(total ?? 100));
  });
  return folder;
}

/** Whether both programs are in a folder. */
async function complete(folder: string): Promise<boolean> {
  const found = PROGRAMS.map((program) => Deno.stat(join(folder, program)).then((stat) => stat.isFile, () => false));
  return (await Promise.all(found)).every((exists) => exists);
}

/** The repository that node-llama-cpp's package carries. */
async function sourceBundle(): Promise<string> {
  // Fetches the package, if it is not there yet.
  await command(Deno.execPath(), ["cache", "--quiet", fromFileUrl(import.meta.resolve("../src/engine/main.ts"))]);
  const bundle = fromFileUrl(new URL("../llama/gitRelease.bundle", import.meta.resolve("node-llama-cpp")));
  if (!await Deno.stat(bundle).then(() => true, () => false)) {
    throw new PeerUnavailableError("node-llama-cpp's package does not carry llama.cpp's source");
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
  if (!success) throw new PeerUnavailableError(`"${program} ${args[0] ?? ""}" ended with ${code}: ${last}`);
}
