/** `inferd chat`: a conversation in the terminal. Ctrl-C stops the answer, not the program. */
import { join } from "node:path";
import type { ParsedFlags } from "../config/flags.ts";
import { homeDirectory } from "../config/home.ts";
import { clientSettings } from "../config/schema.ts";
import { typed } from "../config/setting/typed_command.ts";
import { isBuiltIn } from "../models/built_in.ts";
import { Conversation } from "./conversation.ts";
import { obey } from "./chat_commands.ts";
import { type Command, type CommandContext, parseCommand } from "./command.ts";
import { GENERATION_FLAGS, MODEL_FLAG, readGeneration } from "./generation_flags.ts";
import { adminOf, mustServe, reach, type Target, target } from "./reach.ts";
import { HistoryFile } from "./terminal/history_file.ts";
import { LineEditor } from "./terminal/line_editor.ts";
import { complain, remark } from "./terminal/output.ts";

const HELP = [
  "A line that ends with \\ continues on the next one; a pasted text is one message.",
  "Ctrl-C stops an answer or clears the line, /bye or Ctrl-D quits, /clear forgets the conversation, /help lists more.",
].join("\n");
/** Maximum length of the model's name in the prompt. */
const MOST_NAME = 24;

export const chat: Command = {
  name: "chat",
  usage: "chat [FLAGS]",
  summary: "Chat on the terminal",
  settings: clientSettings("v2"),
  flags: [MODEL_FLAG, ...GENERATION_FLAGS],
  exits: [
    "0 done",
    "1 a message could not be answered (without a terminal)",
    "2 unreachable, no such model, or bad flags",
  ],

  async run(args, context): Promise<number> {
    const { env } = context.machine;
    const flags = parseCommand(this, args, env, 0);
    return await chatWith({ flags, where: await target(flags, env, "v2"), env, model: flags.strings.model });
  },
};

export interface ChatOptions {
  readonly flags: ParsedFlags;
  readonly where: Target;
  readonly env: CommandContext["machine"]["env"];
  /** The model; default: the daemon's first. */
  readonly model?: string | undefined;
}

export async function chatWith({ flags, where, env, model }: ChatOptions): Promise<number> {
  const { system, sampling } = readGeneration(flags);
  await using client = await reach(where, (line) => complain(line));
  if (model !== undefined) await mustServe(client, model, "v2");
  const conversation = new Conversation(client, {
    where,
    system,
    sampling,
    model,
    name: model ?? await firstModel(where),
    thinking: flags.booleans.has("thinking"),
    stats: flags.booleans.has("stats"),
    raw: flags.booleans.has("raw"),
  });
  const history = historyPath(env);
  using editor = new LineEditor({
    prompt: () => `${[...conversation.name ?? ""].slice(0, MOST_NAME).join("")}>`,
    history: history === undefined ? undefined : new HistoryFile(history),
    interrupt: () => conversation.stop(),
  });
  const { isTerminal } = editor;
  if (isTerminal) remark(greetingOf(conversation.name));
  for await (const text of editor.messages()) {
    if (text === "/exit" || text === "/bye" || text === "/quit") break;
    if (text.startsWith("/")) await obey(text, conversation);
    else await conversation.say(text);
    if (isTerminal) complain("");
  }
  return conversation.failed && !isTerminal ? 1 : 0;
}

function greetingOf(name: string | undefined): string {
  const toy = name === undefined || !isBuiltIn(name)
    ? []
    : [`${name} is a toy to try things with; "${typed("run hf:OWNER/REPO")}" downloads a real model.`];
  return [...name === undefined ? [] : [name], ...toy, HELP].join("\n");
}

/** Path of the history file among the user's other inferd files; undefined without a home folder. */
function historyPath(env: ChatOptions["env"]): string | undefined {
  const home = homeDirectory(env);
  if (home === undefined) return undefined;
  const path = join(home, ".inferd", "chat_history");
  // Queried first, because using it without the permission would prompt on a terminal.
  const may = (["read", "write"] as const).every((name) =>
    Deno.permissions.querySync({ name, path }).state === "granted"
  );
  return may ? path : undefined;
}

/** The daemon's first model that generates; undefined if not reported. */
async function firstModel(where: Target): Promise<string | undefined> {
  if (where.infer.tcp !== undefined) return undefined;
  try {
    return (await adminOf(where).snapshot()).capabilities.find(({ v2 }) => v2)?.model;
  } catch {
    return undefined; // Only the greeting needs it.
  }
}
