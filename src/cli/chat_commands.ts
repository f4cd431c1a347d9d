/** Slash commands of a chat. */
import { InferdError, type Message } from "@inferd/client";
import { didYouMean } from "../config/setting/closest.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { errorText } from "../log/error_text.ts";
import { nameOf, parseCommand } from "./command.ts";
import type { Conversation } from "./conversation.ts";
import { GENERATION_FLAGS, readGeneration } from "./generation_flags.ts";
import { aligned, complain, remark } from "./terminal/output.ts";

const FILE_MODE = 0o600;
/** Larger than any saved conversation. */
const MOST_FILE_BYTES = 16 * 1024 * 1024;

/** What `/set` takes: the flags with a value. */
const SETTABLE = GENERATION_FLAGS.filter(({ flag }) => flag.includes(" ")).map(({ flag }) => nameOf(flag));

interface ChatCommand {
  readonly usage: string;
  readonly help: string;
  run(rest: string, conversation: Conversation): void | Promise<void>;
}

const COMMANDS: Readonly<Record<string, ChatCommand>> = {
  help: { usage: "/help", help: "list these commands", run: () => remark(help()) },
  clear: {
    usage: "/clear",
    help: "clear the conversation",
    run: (_, conversation) => {
      conversation.reset();
      remark("(cleared)");
    },
  },
  system: {
    usage: "/system [TEXT]",
    help: "set or remove the system prompt",
    run: (text, conversation) => {
      conversation.instruct(text === "" ? undefined : text);
      remark(text === "" ? "(no instructions)" : "(set)");
    },
  },
  set: {
    usage: "/set NAME VALUE",
    help: "change a sampling parameter: /set temperature 0.2",
    run: (text, conversation) => {
      const [name = "", ...value] = text.split(/\s+/);
      if (name === "system") return conversation.instruct(value.join(" ") || undefined);
      if (value.length === 0) throw new UsageError("Use /set NAME VALUE, as in /set temperature 0.2");
      const flag = name.replaceAll("_", "-");
      if (!SETTABLE.includes(flag)) {
        const meant = didYouMean(flag, SETTABLE) || `; there are ${SETTABLE.join(", ")}`;
        throw new UsageError(`Cannot set "${name}"${meant}`);
      }
      const flags = parseCommand({ flags: GENERATION_FLAGS, settings: [] }, [`--${flag}=${value.join(" ")}`], noEnv, 0);
      conversation.sample(readGeneration(flags).sampling);
      remark("(set)");
    },
  },
  model: {
    usage: "/model [NAME]",
    help: "list the models, or switch to another one",
    run: async (name, conversation) => {
      const models = await conversation.models();
      if (name === "") {
        return remark(models.map((one) => `${one === conversation.name ? "*" : " "} ${one}`).join("\n"));
      }
      if (!models.includes(name)) {
        throw new UsageError(
          `The daemon has no model "${name}"${didYouMean(name, models) || "; /model lists what it has"}`,
        );
      }
      conversation.talkTo(name);
      remark("(set)");
    },
  },
  save: {
    usage: "/save FILE",
    help: "write the conversation to a file, as JSON",
    run: async (path, conversation) => {
      if (path === "") throw new UsageError("Use /save FILE");
      const text = `${JSON.stringify(conversation.messages, null, 2)}\n`;
      try {
        await Deno.writeTextFile(path, text, { mode: FILE_MODE });
      } catch (error) {
        throw new UsageError(`Cannot save "${path}": ${reasonOf(error)}`);
      }
      remark(`(saved to "${path}")`);
    },
  },
  load: {
    usage: "/load FILE",
    help: "load a saved conversation",
    run: async (path, conversation) => {
      if (path === "") throw new UsageError("Use /load FILE");
      const messages = readMessages(path, await readText(path));
      conversation.restore(messages);
      remark(`(${messages.length} messages)`);
    },
  },
  retry: {
    usage: "/retry",
    help: "regenerate the last answer",
    run: async (_, conversation) => {
      const text = conversation.undo();
      if (text === undefined) throw new UsageError("There is no answer to regenerate");
      await conversation.say(text);
    },
  },
  undo: {
    usage: "/undo",
    help: "remove the last message and its answer",
    run: (_, conversation) => {
      const text = conversation.undo();
      remark(text === undefined ? "(the conversation is empty)" : "(taken back)");
    },
  },
  bye: { usage: "/bye", help: "quit, as Ctrl-D does", run: () => {} },
};

const ALIASES: Readonly<Record<string, string>> = { reset: "clear", exit: "bye", quit: "bye", "?": "help" };

/** Execute a slash command. Mistakes are printed, not thrown. */
export async function obey(line: string, conversation: Conversation): Promise<void> {
  const [, given = "", rest = ""] = /^\/(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
  const name = ALIASES[given] ?? given;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const meant = didYouMean(given, Object.keys(COMMANDS), "/") || "; /help lists what there is";
    complain(`inferd: Unknown command "/${given}"${meant}`);
    return;
  }
  try {
    await command.run(rest.trim(), conversation);
  } catch (error) {
    const isRefused = error instanceof Error && "code" in error && typeof error.code === "string";
    const isForbidden = error instanceof Deno.errors.NotCapable;
    if (!(error instanceof UsageError || error instanceof InferdError) && !isRefused && !isForbidden) throw error;
    complain(`inferd: ${error.message}`);
  }
}

function help(): string {
  return aligned(Object.values(COMMANDS).map(({ usage, help }) => [usage, help])).join("\n");
}

function noEnv(): undefined {}

/** Why a file could not be read or written, without the system's words where ours are clearer. */
function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file or folder";
  if (error instanceof Deno.errors.PermissionDenied) return "this user may not";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  return errorText(error);
}

async function readText(path: string): Promise<string> {
  // Opening a FIFO would block until there is a writer.
  try {
    const { isFile, size } = await Deno.stat(path);
    if (isFile && size <= MOST_FILE_BYTES) return await Deno.readTextFile(path);
  } catch (error) {
    throw new UsageError(`Cannot load "${path}": ${reasonOf(error)}`);
  }
  throw new UsageError(`Cannot load "${path}": it is not a saved conversation`);
}

function readMessages(path: string, text: string): Message[] {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every(isMessage)) return value;
  } catch {
    // Not JSON.
  }
  throw new UsageError(`Cannot load "${path}": it is not a saved conversation`);
}

function isMessage(value: unknown): value is Message {
  if (typeof value !== "object" || value === null || !("role" in value) || !("content" in value)) return false;
  return ["system", "user", "assistant"].includes(String(value.role)) && typeof value.content === "string";
}
