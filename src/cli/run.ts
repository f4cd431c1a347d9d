/** `inferd run`: from a name to a conversation: downloads the model, starts a daemon if none runs, and chats. */
import { resolve } from "node:path";
import { connect, ConnectError, InferdError, SpawnError } from "@inferd/client";
import { CLIENT_SETTINGS, SERVE_SETTINGS, type SettingName, SETTINGS } from "../config/schema.ts";
import type { ParsedFlags } from "../config/flags.ts";
import type { Setting } from "../config/setting/setting.ts";
import { readOptions } from "../config/resolve.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { isModelFile } from "../config/setting/value_types.ts";
import { monitorPermissionFlags } from "../monitor/permissions/permissions.ts";
import { isBuiltIn } from "../models/built_in.ts";
import type { Store } from "../models/store.ts";
import { parseRepository, quantisationOf } from "../models/transfer/hub.ts";
import { chatWith } from "./chat.ts";
import { type Command, type CommandContext, parseCommand } from "./command.ts";
import { GENERATION_FLAGS } from "./generation_flags.ts";
import { permissionContext } from "./permissions.ts";
import { pull, readReference } from "./pull.ts";
import { whileLoading } from "./loading.ts";
import { adminOf, type Target, target, unreachable } from "./reach.ts";
import { noSuchModel, openStore } from "./store.ts";
import { complain, remark } from "./terminal/output.ts";
import { typed } from "../config/setting/typed_command.ts";

/** Long enough for a large model on a slow disk. */
const START_TIMEOUT_MS = 300_000;

export const run: Command = {
  name: "run",
  usage: "run NAME|FILE|hf:OWNER/REPO[:QUANT]|hf:OWNER/REPO/FILE.gguf [FLAGS]",
  summary: "Chat with a model: download it if needed, start a daemon if none runs",
  settings: CLIENT_SETTINGS,
  flags: GENERATION_FLAGS,
  takesFile: true,
  notes: [`A daemon that it starts keeps running; "${typed("stop")}" ends it.`],
  exits: [
    "0 done",
    "1 the model could not be obtained, or the daemon could not be started",
    "2 unreachable, no such model or file, or bad flags",
  ],

  async run(args, context): Promise<number> {
    const { machine } = context;
    const flags = parseCommand(this, args, machine.env, 1);
    const [word] = flags.rest;
    if (word === undefined) {
      throw new UsageError(
        `Name a model, as in "${typed("run inferd-tiny")}"; "${typed("models")}" lists those of the store`,
      );
    }
    const { store } = await openStore(flags, machine);
    const model = await obtain(word, store, { context, flags });
    if (typeof model === "number") return model;
    const where = await target(flags, machine.env, "v2");
    const served = await servedModels(where);
    if (served === undefined) {
      if (!await startDaemon(model, where, { context, flags })) return 1;
      return await chatWith({ flags, where, env: machine.env });
    }
    const name = served.find((one) => one === model || one === word);
    if (name !== undefined) return await chatWith({ flags, where, env: machine.env, model: name });
    complain(
      `inferd: A daemon runs, and does not serve "${word}" but ${served.map((one) => `"${one}"`).join(", ")}. ` +
        `Stop it with "${typed("stop")}", or add the model to its configuration file`,
    );
    return 1;
  },
};

interface Given {
  readonly context: CommandContext;
  readonly flags: ParsedFlags;
}

/** The model as an argument of `serve --model`, pulled if needed; an exit code if that failed, which has been printed. */
async function obtain(word: string, store: Store, { context, flags }: Given): Promise<string | number> {
  if (!word.startsWith("hf:")) {
    if (isBuiltIn(word)) return word;
    if (!isModelFile(word)) {
      if (await store.find(word) === undefined) throw await noSuchModel(word, store);
      return word;
    }
    const path = resolve(word);
    try {
      await Deno.stat(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new UsageError(`There is no model file "${path}"`);
    }
    return path;
  }
  const known = await findPulled(word, store, context);
  if (known !== undefined) return known;
  const config = flags.values.config;
  const before = new Set((await store.list()).models.map(({ name }) => name));
  const code = await pull.run([word, ...config === undefined ? [] : [`--config=${config}`]], context);
  if (code !== 0) return code;
  const pulled = await findPulled(word, store, context);
  return pulled ?? (await store.list()).models.find(({ name }) => !before.has(name))?.name ?? 1;
}

/** Name of a store model from this source. */
async function findPulled(word: string, store: Store, { machine }: CommandContext): Promise<string | undefined> {
  const repository = parseRepository(word);
  const source = repository === undefined ? readReference(word, machine.env).source : undefined;
  const repo = repository?.repo ?? source?.repo;
  const quantisation = repository?.quantisation?.toUpperCase();
  const { models } = await store.list();
  return models.find(({ source: from, present }) =>
    present && from?.registry === "huggingface" && from.repo === repo &&
    (source === undefined || from.filename === source.filename) &&
    (quantisation === undefined || quantisationOf(from.filename ?? "") === quantisation)
  )?.name;
}

/** Models of the running daemon; undefined if none runs. */
async function servedModels(where: Target): Promise<readonly string[] | undefined> {
  try {
    // Checked first: waiting for readiness would also wait for a daemon to start.
    if ((await adminOf(where).snapshot()).status.status !== "ready") {
      remark("A daemon runs and is not ready yet, waiting");
      await whileLoading(where, () => adminOf(where).ready({ timeoutMs: START_TIMEOUT_MS }));
    }
    const { capabilities } = await adminOf(where).snapshot();
    return capabilities.flatMap(({ model, v2 }) => v2 && model !== undefined ? [model] : []);
  } catch (error) {
    if (error instanceof ConnectError && error.retryable) return undefined;
    throw unreachable(error);
  }
}

/** Start a daemon that outlives this program; `false` if that failed, which has been printed. */
async function startDaemon(model: string, where: Target, { context: { machine }, flags }: Given): Promise<boolean> {
  if (where.infer.tcp !== undefined) {
    throw new UsageError("No daemon listens there, and only a local one can be started");
  }
  const passed = [...flags.fromFlags].flatMap((name: SettingName): string[] => {
    const value: unknown = flags.values[name];
    const { names: { flag } }: Setting = SETTINGS[name];
    return flag !== undefined && typeof value === "string" ? [`--${flag}=${value}`] : [];
  });
  const args = ["serve", `--model=${model}`, ...passed];
  const values = parseCommand({ flags: [], settings: SERVE_SETTINGS }, args.slice(1), machine.env, 0).values;
  const options = await readOptions(values, machine);
  const permissions = monitorPermissionFlags(options, permissionContext(values, machine.env));
  const main = import.meta.resolve("../../main.ts");
  remark(`Starting a daemon with ${model}`);
  try {
    const client = await whileLoading(where, () =>
      connect({
        ...where.infer,
        spawn: {
          command: Deno.execPath(),
          args: Deno.build.standalone ? args : ["run", "--quiet", "--no-prompt", ...permissions, main, ...args],
          timeoutMs: START_TIMEOUT_MS,
        },
        timeoutMs: START_TIMEOUT_MS,
      }));
    await client.close();
    return true;
  } catch (error) {
    if (!(error instanceof InferdError)) throw error;
    // The last that a daemon prints says why it ended, with our name before it.
    const reason = error instanceof SpawnError && error.exitCode !== null
      ? error.output.trimEnd().split("\n").at(-1)
      : "";
    complain(reason || `inferd: ${error.message}`);
    return false;
  }
}
