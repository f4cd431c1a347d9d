/** Checks whether the engine can load its native library, in the engine's own process and with its permissions. */
import { format as formatBytes } from "@std/fmt/bytes";
import { errorText } from "../../log/error_text.ts";
import { PipedProcess } from "../../processes/piped_process.ts";
import type { DaemonOptions, LlamaBackendConfig } from "../../config/options.ts";
import { type EngineCommand, engineCommand } from "../../engine/ipc/command.ts";
import { LIBRARY_VERSION } from "../../libraries/library_files.ts";
import type { EngineConfig, EngineNeed, FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import { fullName, PACKAGES } from "../../libraries/packages.ts";
import { type Finding, Findings } from "./finding.ts";

const TIMEOUT_MS = 60_000;
export const FETCH_HELP =
  "The next start downloads it from npm, which needs the network; docs/guides/offline.md explains how to copy it";
const DAMAGED_HELP = "Remove its folder; the next start downloads it again";
const ACCELERATOR_HELP = 'Install or repair what is missing, or set "accelerator" to one that is possible here';
const OWN_BUILD_HELP =
  'Build it from the source that node-llama-cpp carries (docs/operations.md), or leave "library_dir" out';

/** The backend settings that select a library. */
export type Wish = Pick<EngineConfig, "accelerator" | "cacheDir" | "libraryDir">;

/**
 * Start an engine that loads the library and exits, once for each library that backends use. Nothing is downloaded.
 *
 * @param options The daemon's options; `undefined` if they are not known.
 * @param command For tests; default: the engine.
 */
export async function checkEngine(
  options: DaemonOptions | undefined,
  command: EngineCommand = engineCommand(),
): Promise<readonly Finding[]> {
  const local = options?.backends.filter((backend) => backend.kind === "llamacpp") ?? [];
  if (options !== undefined && local.length === 0) {
    return new Findings("native library").elseOk("Not needed: no backend is llamacpp");
  }
  const users = new Map<string, { readonly wish: Wish; readonly backends: LlamaBackendConfig[] }>();
  const add = (backend: Partial<LlamaBackendConfig>): LlamaBackendConfig[] => {
    const wish = wishOf(backend, options);
    const key = JSON.stringify(wish);
    const user = users.get(key) ?? { wish, backends: [] };
    users.set(key, user);
    return user.backends;
  };
  if (options === undefined) add({});
  for (const backend of local) add(backend).push(backend);
  const findings: Finding[] = [];
  for (const { wish, backends } of users.values()) findings.push(...await checkLibrary(wish, backends, command));
  return findings;
}

/** The library settings of a backend: equal for backends that share a library. */
export function wishOf(
  { accelerator = "auto", libraryDir }: Partial<LlamaBackendConfig>,
  options: DaemonOptions | undefined,
): Wish {
  if (libraryDir !== undefined) return { libraryDir };
  return options === undefined ? { accelerator } : { accelerator, cacheDir: options.cacheDir ?? options.runtimeDir };
}

/** Checks one library and what it offers to its backends. */
async function checkLibrary(
  wish: Wish,
  users: readonly LlamaBackendConfig[],
  command: EngineCommand,
): Promise<readonly Finding[]> {
  const findings = new Findings("native library");
  const { answer, missing, complaints } = await askEngine(command, { op: "check", ...wish }, "library");
  if (answer === undefined) {
    if (missing !== undefined) {
      findings.warn(describeMissing(missing), FETCH_HELP);
      return findings.list;
    }
    const isAsked = wish.accelerator !== undefined && wish.accelerator !== "auto" && wish.accelerator !== "cpu";
    const help = wish.libraryDir !== undefined ? OWN_BUILD_HELP : isAsked ? ACCELERATOR_HELP : DAMAGED_HELP;
    findings.fail(`It cannot be opened: ${complaints.join(" ").slice(0, 500)}`, help);
    return findings.list;
  }
  const { version, folder } = answer;
  findings.ok(
    wish.libraryDir === undefined
      ? `Opened, node-llama-cpp ${version}, in "${folder}"`
      : `Opened, node-llama-cpp ${version}, your own build in "${folder}"`,
  );
  return [...findings.list, ...checkAccelerator(answer, { wish, users, missing })];
}

/** Reports the accelerator in use, and why no better one is. */
function checkAccelerator(
  { accelerator, unusable }: Extract<FromEngine, { type: "library" }>,
  { wish, users, missing }: {
    readonly wish: Wish;
    readonly users: readonly LlamaBackendConfig[];
    readonly missing: EngineNeed | undefined;
  },
): readonly Finding[] {
  const findings = new Findings("accelerator");
  const computes = accelerator === "cpu" ? "the CPU computes" : `${accelerator} computes`;
  if (missing !== undefined) {
    findings.warn(`${describeMissing(missing)}, and until then ${computes}`, FETCH_HELP);
  }
  const notable = unusable.filter(({ hasDriver }) => hasDriver && missing === undefined);
  for (const { accelerator: name, reason } of notable) {
    findings.warn(`${name} cannot be used, and ${computes}: ${reason}`, ACCELERATOR_HELP);
  }
  const wanted = users.find(({ gpuLayers = 0 }) => gpuLayers > 0);
  if (accelerator === "cpu" && wanted !== undefined) {
    findings.warn(
      `Backend "${wanted.name}" asks for ${wanted.gpuLayers} layers on one, and ${computes}`,
      "Install the system's graphics driver, or set n_gpu_layers to 0",
    );
  }
  const { accelerator: setting, libraryDir } = wish;
  const why = libraryDir !== undefined
    ? ""
    : setting !== "auto"
    ? `, as "accelerator" says`
    : unusable.length > 0
    ? `; ${unusable.map(({ accelerator, reason }) => `${accelerator}: ${reason}`).join("; ")}`
    : "";
  return findings.elseOk(`${accelerator}${why}`);
}

/** What must be downloaded, with package sizes: a sentence without a period. */
export function describeMissing(need: EngineNeed): string {
  if (!("packages" in need)) return `node-llama-cpp ${LIBRARY_VERSION}, for its chat formats, is not downloaded yet`;
  const list = need.packages
    .map((name) => `${fullName(name)} ${LIBRARY_VERSION} (${formatBytes(PACKAGES[name].bytes, { binary: true })})`)
    .join(" and ");
  return `${list} ${need.packages.length > 1 ? "are" : "is"} not downloaded yet`;
}

export interface EngineAnswer<Type> {
  readonly answer?: Extract<FromEngine, { type: Type }>;
  /** What would have to be downloaded first. */
  readonly missing: EngineNeed | undefined;
  /** Why there is no answer. */
  readonly complaints: readonly string[];
}

/**
 * Start an engine that answers one question and exits. Nothing is downloaded for it.
 *
 * @param question The message sent instead of `load`.
 * @returns The answer, or why it is missing.
 */
export async function askEngine<Type extends FromEngine["type"]>(
  command: EngineCommand,
  question: Extract<ToEngine, { op: "check" | "inspect" }>,
  type: Type,
): Promise<EngineAnswer<Type>> {
  let answer: EngineAnswer<Type>["answer"];
  let missing: EngineNeed | undefined;
  const fatal: string[] = [];
  const stderr: string[] = [];
  let engine: PipedProcess<FromEngine, ToEngine>;
  try {
    engine = new PipedProcess(command, {
      onMessage: (message) => {
        if (isOf(message, type)) answer = message;
        else if (message.type === "fatal") fatal.push(message.message);
        else if (message.type === "needs") {
          // Later requests are only alternatives to the first.
          missing ??= message.need;
          engine.send({ op: "fetched", failure: "It is not downloaded yet" });
        }
      },
      onStderr: (line) => stderr.push(line.trim()),
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return { missing, complaints: [errorText(error)] };
  }
  const timer = setTimeout(() => engine.kill(`It sent nothing for ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS);
  engine.send(question);
  const exit = await engine.exited;
  clearTimeout(timer);
  if (answer !== undefined) return { answer, missing, complaints: [] };
  const ending = exit.killedFor ?? `the engine ended with ${exit.signal ?? `exit code ${exit.code}`}`;
  const said = fatal.length > 0 ? fatal : stderr.filter((line) => line !== "").slice(0, 3);
  return { missing, complaints: said.length > 0 ? said : [ending] };
}

function isOf<Type extends FromEngine["type"]>(
  message: FromEngine,
  type: Type,
): message is Extract<FromEngine, { type: Type }> {
  return message.type === type;
}
