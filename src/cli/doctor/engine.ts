/** Looks whether the engine can open its native library: in the engine's own process, with its permissions. */
import { EngineProcess } from "../../backend/engine_process.ts";
import { type EngineCommand, engineCommand } from "../../engine/command.ts";
import type { FromEngine, ToEngine } from "../../engine/messages.ts";
import type { DaemonOptions, LlamaBackendConfig } from "../../config/options.ts";
import { type Finding, Findings, textOf } from "./finding.ts";

/** Fetching the library on the first run takes time, too. */
const TIMEOUT_MS = 120_000;
const NETWORK_HELP =
  "The library is an npm package that the first start fetches: give this machine the network once, or copy Deno's cache (DENO_DIR) from a machine that has it";

const OWN_BUILD_HELP =
  'Build it from the source that node-llama-cpp carries (docs/operations.md), or leave "library_dir" out';

/**
 * Start an engine that opens the library and ends; one for each library that backends use.
 *
 * @param options What the daemon is told; `undefined` where that is not known.
 * @param command For tests; absent: the engine.
 * @returns The findings: of the library, and of what computes.
 */
export async function checkEngine(
  options: DaemonOptions | undefined,
  command: EngineCommand = engineCommand(),
): Promise<readonly Finding[]> {
  const local = options?.backends.filter((backend) => backend.kind === "llamacpp") ?? [];
  if (options !== undefined && local.length === 0) {
    return new Findings("native library").elseOk("Not needed: no backend is llamacpp");
  }
  const folders = new Set(options === undefined ? [undefined] : local.map(({ libraryDir }) => libraryDir));
  const findings: Finding[] = [];
  for (const folder of folders) {
    findings.push(...await checkLibrary(folder, local.filter(({ libraryDir }) => libraryDir === folder), command));
  }
  return findings;
}

/** One library, and what it offers to the backends that use it. */
async function checkLibrary(
  folder: string | undefined,
  users: readonly LlamaBackendConfig[],
  command: EngineCommand,
): Promise<readonly Finding[]> {
  const library = new Findings("native library");
  const question = { op: "check", ...(folder === undefined ? {} : { libraryDir: folder }) } as const;
  const { answer, complaints } = await askEngine(command, question, "library");
  if (answer === undefined) {
    const [reason, ...rest] = complaints;
    const help = folder === undefined ? NETWORK_HELP : OWN_BUILD_HELP;
    library.fail(`It cannot be opened: ${[reason, ...rest].join(" ").slice(0, 500)}`, help);
    return library.list;
  }
  const { version, accelerator: found, cpu } = answer;
  library.ok(`Opened, of node-llama-cpp ${version}${folder === undefined ? "" : `, your own build in "${folder}"`}`);
  const accelerator = new Findings("accelerator");
  const wanted = users.find(({ gpuLayers = 0 }) => gpuLayers > 0);
  if (found === "cpu" && wanted !== undefined) {
    accelerator.warn(
      `None was found, and backend "${wanted.name}" asks for ${wanted.gpuLayers} layers on one`,
      "Install the system's graphics driver, or set n_gpu_layers to 0",
    );
  }
  const code = cpu?.own ? `, with the code for "${cpu.variant}" that comes with inferd` : "";
  return [...library.list, ...accelerator.elseOk(found === "cpu" ? `None was found; the CPU computes${code}` : found)];
}

/** What an engine that was asked something said. */
export interface EngineAnswer<Type> {
  readonly answer?: Extract<FromEngine, { type: Type }>;
  /** Why there is none. */
  readonly complaints: readonly string[];
}

/**
 * Start an engine that answers one question and ends.
 *
 * @param command How to start it.
 * @param question What to ask instead of `load`.
 * @param type The message that answers it.
 * @returns The answer, or why there is none.
 */
export async function askEngine<Type extends FromEngine["type"]>(
  command: EngineCommand,
  question: Extract<ToEngine, { op: "check" | "inspect" }>,
  type: Type,
): Promise<EngineAnswer<Type>> {
  let answer: EngineAnswer<Type>["answer"];
  const fatal: string[] = [];
  const stderr: string[] = [];
  let engine: EngineProcess;
  try {
    engine = new EngineProcess(command, {
      onMessage: (message) => {
        if (isOf(message, type)) answer = message;
        else if (message.type === "fatal") fatal.push(message.message);
      },
      onStderr: (line) => stderr.push(line.trim()),
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return { complaints: [textOf(error)] };
  }
  const timer = setTimeout(() => engine.kill(`It said nothing for ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS);
  engine.send(question);
  const exit = await engine.exited;
  clearTimeout(timer);
  if (answer !== undefined) return { answer, complaints: [] };
  const ending = exit.killedFor ?? `the engine ended with ${exit.signal ?? `exit code ${exit.code}`}`;
  const said = fatal.length > 0 ? fatal : stderr.filter((line) => line !== "").slice(0, 3);
  return { complaints: said.length > 0 ? said : [ending] };
}

function isOf<Type extends FromEngine["type"]>(
  message: FromEngine,
  type: Type,
): message is Extract<FromEngine, { type: Type }> {
  return message.type === type;
}
