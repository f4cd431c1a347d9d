/** `inferd chat`: a conversation on the terminal. Ctrl-C stops the answer, not the program. */
import { createInterface, type Interface } from "node:readline/promises";
import { stderr, stdin } from "node:process";
import { type Client, InferdError, type Message } from "@inferd/client";
import { CLIENT_SETTINGS } from "../config/schema.ts";
import { AnswerPrinter } from "./terminal/answer_printer.ts";
import { type Command, parseCommand } from "./command.ts";
import { GENERATION_FLAGS, readGeneration, type SamplingFlags } from "./generation_flags.ts";
import { reach, target } from "./reach.ts";
import { describe } from "./run_request.ts";
import { complain, isScreen, remark } from "./terminal/output.ts";

const PROMPT = "> ";
const MORE = ". ";
const HELP = [
  "A line that ends with \\ continues on the next one.",
  "/reset clears the conversation, /exit or Ctrl-D quits, Ctrl-C stops an answer.",
].join("\n");

export const chat: Command = {
  name: "chat",
  usage: "chat [FLAGS]",
  summary: "Chat on the terminal",
  settings: CLIENT_SETTINGS,
  flags: [...GENERATION_FLAGS, { flag: "--thinking", help: "let the model think first; thoughts are dimmed" }],
  exits: ["0 done", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const { system, sampling } = readGeneration(flags);
    await using client = await reach(await target(flags, machine.env, "v2"), (line) => complain(line));
    const conversation = new Conversation(client, {
      system,
      sampling,
      thinking: flags.booleans.has("thinking"),
      raw: flags.booleans.has("raw"),
    });
    // Lines are edited where they are shown, which is stderr.
    const isTerminal = Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
    if (isTerminal) remark(HELP);
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
    return 0;
  },
};

/** How a conversation is held. */
interface ConversationOptions {
  readonly system: string | undefined;
  readonly sampling: SamplingFlags;
  readonly thinking: boolean;
  /** As for `AnswerPrinter`. */
  readonly raw: boolean;
}

/** One conversation, and the answer that is running. */
class Conversation {
  readonly #client: Client;
  readonly #options: ConversationOptions;
  #messages: Message[] = [];
  #running: AbortController | undefined;

  constructor(client: Client, options: ConversationOptions) {
    this.#client = client;
    this.#options = options;
    this.reset();
  }

  /** Forget what was said. */
  reset(): void {
    const { system } = this.#options;
    this.#messages = system === undefined ? [] : [{ role: "system", content: system }];
  }

  /** Stop the running answer; whether there was one. */
  stop(): boolean {
    this.#running?.abort();
    return this.#running !== undefined;
  }

  /** Say something and print the answer. What was said of a stopped answer stays in the conversation. */
  async say(text: string): Promise<void> {
    const { sampling, thinking, raw } = this.#options;
    const running = this.#running = new AbortController();
    const printer = new AnswerPrinter({ raw });
    const before = this.#messages;
    this.#messages = [...before, { role: "user", content: text }];
    let answer = "";
    try {
      const request = { messages: this.#messages, thinking, ...sampling };
      for await (const event of this.#client.generate(request, { signal: running.signal })) {
        if (event.type === "text") {
          answer += event.text;
          await printer.text(event.text);
        } else if (event.type === "thinking") await printer.thinking(event.text);
        else if (event.type === "done") {
          await printer.end(event.stopReason === "max_tokens" ? event.usage.completionTokens : undefined);
        }
      }
    } catch (error) {
      await printer.breakOff();
      if (running.signal.aborted) remark("(stopped)");
      else if (error instanceof InferdError) complain(`inferd: ${describe(error)}`);
      else throw error;
      if (answer === "") this.#messages = before;
    } finally {
      this.#running = undefined;
    }
    if (answer !== "") this.#messages.push({ role: "assistant", content: answer });
  }
}

async function converse(conversation: Conversation, lines: Interface, isTerminal: boolean): Promise<void> {
  // While the terminal is in raw mode Ctrl-C is a key, elsewhere a signal.
  const interrupt = (): void => {
    if (conversation.stop() || !isTerminal) return;
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
      if (text === "/exit") return;
      if (text === "/reset") conversation.reset();
      else if (text === "/help") remark(HELP);
      else if (text !== "") await conversation.say(text);
      ask(PROMPT);
    }
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}
