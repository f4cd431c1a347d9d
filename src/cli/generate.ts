/** `inferd generate`: streams an answer to the terminal. */
import { type Client, DaemonError, type GenerateRequest, InferdError } from "@inferd/client";
import { toText } from "@std/streams/to-text";
import { dim } from "@std/fmt/colors";
import { numberFlag, parseFlags } from "../config/flags.ts";
import { CLIENT_SETTINGS, UsageError } from "../config/settings.ts";
import type { Command } from "./command.ts";
import { reach, target } from "./reach.ts";

const MOST_TOKENS = 2 ** 31 - 1;

export const generate: Command = {
  name: "generate",
  usage: "generate [PROMPT] [FLAGS]",
  summary: "Stream an answer to a prompt, from the command line or stdin",
  settings: CLIENT_SETTINGS,
  flags: [
    { flag: "--system TEXT", help: "what the model is told before the prompt" },
    { flag: "--max-tokens N", help: "most tokens of the answer (default: 1000)" },
    { flag: "--temperature X", help: "0 to 2; 0 always takes the likeliest token (default: 1)" },
    { flag: "--seed N", help: "makes the answer repeatable" },
    { flag: "--json", help: "the complete answer as one JSON object" },
  ],
  exits: ["0 answered", "1 the daemon answered with an error", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseFlags(args, machine.env, {
      settings: this.settings,
      strings: ["system", "max-tokens", "temperature", "seed"],
      booleans: ["json"],
    });
    const sampling = {
      maxTokens: numberFlag(flags, "max-tokens", { least: 1, most: MOST_TOKENS, whole: true }),
      temperature: numberFlag(flags, "temperature", { least: 0, most: 2, whole: false }),
      seed: numberFlag(flags, "seed", { least: 0, most: 2 ** 32 - 2, whole: true }),
    };
    const where = target(flags);
    const prompt = await readPrompt(flags.rest);
    const system = flags.strings.system;
    const request: GenerateRequest = {
      messages: [
        ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
        { role: "user", content: prompt },
      ],
      ...sampling,
    };
    await using client = await reach(where, (line) => console.error(line));
    try {
      return await (flags.booleans.has("json") ? printJson(client, request) : printText(client, request));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return 0; // Whoever read the answer has seen enough.
      if (!(error instanceof InferdError)) throw error;
      console.error(`inferd: ${error instanceof DaemonError ? `${error.code}: ` : ""}${error.message}`);
      return 1;
    }
  },
};

async function readPrompt(words: readonly string[]): Promise<string> {
  const fromStdin = words.length === 0 || (words.length === 1 && words[0] === "-");
  if (fromStdin && Deno.stdin.isTerminal()) console.error(dim("Reading the prompt from the terminal, end with Ctrl-D"));
  const prompt = fromStdin ? (await toText(Deno.stdin.readable)).replace(/\n$/, "") : words.join(" ");
  if (prompt.trim() === "") {
    throw new UsageError('The prompt is empty: give it as in "inferd generate hello", or on stdin');
  }
  return prompt;
}

async function printText(client: Client, request: GenerateRequest): Promise<number> {
  const encoder = new TextEncoder();
  const print = async (text: string): Promise<void> => {
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  };
  let last = "";
  for await (const event of client.generate(request)) {
    if (event.type === "token") {
      await print(event.text);
      last = event.text;
      continue;
    }
    if (!last.endsWith("\n")) await print("\n");
    if (event.stopReason === "length" && Deno.stderr.isTerminal()) {
      console.error(dim(`(cut off after ${event.usage.completionTokens} tokens)`));
    }
  }
  return 0;
}

async function printJson(client: Client, request: GenerateRequest): Promise<number> {
  const { text, usage, stopReason, backend } = await client.generate({ ...request, stream: false }).result();
  console.log(JSON.stringify({
    content: text,
    usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens },
    stop_reason: stopReason,
    backend,
  }));
  return 0;
}
