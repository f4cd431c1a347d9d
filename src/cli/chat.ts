/** `inferd chat`: a conversation on the terminal. Ctrl-C stops the answer, not the program. */
import { createInterface, type Interface } from "node:readline/promises";
import { stderr, stdin } from "node:process";
import type { ParsedFlags } from "../config/flags.ts";
import { CLIENT_SETTINGS } from "../config/schema.ts";
import { Conversation } from "./conversation.ts";
import { obey } from "./chat_commands.ts";
import { type Command, parseCommand } from "./command.ts";
import { GENERATION_FLAGS, readGeneration } from "./generation_flags.ts";
import { adminOf, reach, type Target, target } from "./reach.ts";
import { complain, isScreen, remark } from "./terminal/output.ts";

const PROMPT = "> ";
const MORE = ". ";
const HELP = [
  "A line that ends with \\ continues on the next one.",
  "/clear forgets the conversation, /bye or Ctrl-D quits, Ctrl-C stops an answer or clears the line, /help lists more.",
].join("\n");

export const chat: Command = {
  name: "chat",
  usage: "chat [FLAGS]",
  summary: "Chat on the terminal",
  settings: CLIENT_SETTINGS,
  flags: [...GENERATION_FLAGS, { flag: "--thinking", help: "let the model think first; thoughts are dimmed" }],
  exits: ["0 done", "1 a message could not be answered (without a terminal)", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    return await chatWith(flags, await target(flags, machine.env, "v2"));
  },
};

/**
 * Hold a conversation on the terminal.
 *
 * @param flags Those of `chat`.
 * @param where The daemon.
 * @param model Which of its models; absent: its first.
 * @returns The exit code.
 */
export async function chatWith(flags: ParsedFlags, where: Target, model?: string): Promise<number> {
  const { system, sampling } = readGeneration(flags);
  await using client = await reach(where, (line) => complain(line));
  const name = model ?? await firstModel(where);
  const conversation = new Conversation(client, {
    system,
    sampling,
    model,
    name,
    thinking: flags.booleans.has("thinking"),
    raw: flags.booleans.has("raw"),
  });
  // Lines are edited where they are shown, which is stderr.
  const isTerminal = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  if (isTerminal) remark(name === undefined ? HELP : `${name}\n${HELP}`);
  // The prompt goes to stderr, so that stdout has the answers and nothing else.
  const lines = createInterface({
    input: stdin,
    output: stderr,
    terminal: isTerminal && isScreen(Deno.stderr),
    prompt: "",
  });
  try {
    await converse(conversation, lines, isTerminal);
  } finally {
    lines.close();
  }
  return conversation.failed && !isTerminal ? 1 : 0;
}

/** The daemon's first model that generates; nothing where it does not say. */
async function firstModel(where: Target): Promise<string | undefined> {
  if (where.infer.tcp !== undefined) return undefined;
  try {
    return (await adminOf(where).snapshot()).capabilities.find(({ v2 }) => v2)?.model;
  } catch {
    return undefined; // It is for the greeting alone.
  }
}

async function converse(conversation: Conversation, lines: Interface, isTerminal: boolean): Promise<void> {
  // While the terminal is in raw mode Ctrl-C is a key, elsewhere a signal.
  const interrupt = (): void => {
    if (conversation.stop() || !isTerminal) return;
    if (lines.line !== "") {
      // As the keys do it: to the end of the line, then back over all of it.
      lines.write(null, { ctrl: true, name: "e" });
      lines.write(null, { ctrl: true, name: "u" });
      return;
    }
    remark("(Ctrl-D leaves)");
    lines.prompt(true);
  };
  const ask = (prompt: string): void => {
    if (!isTerminal) return;
    lines.setPrompt(prompt);
    lines.prompt();
  };
  lines.on("SIGINT", interrupt);
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    let said = "";
    ask(PROMPT);
    for await (const line of lines) {
      if (line.endsWith("\\")) {
        said += `${line.slice(0, -1)}\n`;
        ask(MORE);
        continue;
      }
      const text = (said + line).trim();
      said = "";
      if (text === "/exit" || text === "/bye") return;
      if (text.startsWith("/")) await obey(text, conversation);
      else if (text !== "") await conversation.say(text);
      ask(PROMPT);
    }
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}
