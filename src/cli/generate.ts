/** `inferd generate`: streams an answer to the terminal. */
import type { Client, GenerateRequest, GenerateV2Request } from "@inferd/client";
import type { ParsedFlags } from "../config/flags.ts";
import { CLIENT_SETTINGS } from "../config/schema.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { AnswerPrinter } from "./terminal/answer_printer.ts";
import { writeText } from "./terminal/output.ts";
import { type Command, parseCommand } from "./command.ts";
import { readInput } from "./terminal/input.ts";
import { target } from "./reach.ts";
import { REQUEST_EXITS, runRequest } from "./run_request.ts";
import { GENERATION_FLAGS, readGeneration } from "./generation_flags.ts";

export const generate: Command = {
  name: "generate",
  usage: "generate [PROMPT] [FLAGS]",
  summary: "Stream an answer to a prompt, from the command line, stdin or both",
  settings: CLIENT_SETTINGS,
  flags: [
    ...GENERATION_FLAGS,
    { flag: "--thinking", help: "let the model think first; its thoughts go to stderr" },
    { flag: "--schema FILE", help: "a file with a JSON Schema that the answer must follow" },
    { flag: "--json", help: "print the complete answer as one JSON object" },
  ],
  exits: REQUEST_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env);
    const { system, sampling } = readGeneration(flags);
    const extras = v2Extras(flags);
    const where = await target(flags, machine.env, extras === undefined ? "infer" : "v2");
    const prompt = await readPrompt(flags.rest);
    const messages: GenerateRequest["messages"] = [
      ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
      { role: "user", content: prompt },
    ];
    const json = flags.booleans.has("json");
    const printer = new AnswerPrinter({ raw: flags.booleans.has("raw") });
    return await runRequest(where, (client) => {
      if (extras === undefined) return (json ? printJson : printAnswer)(client, { messages, ...sampling }, printer);
      return (json ? printJsonV2 : printAnswerV2)(client, { messages, ...sampling, ...extras }, printer);
    });
  },
};

/** What only v2 can be asked for; `undefined`: nothing of it. */
function v2Extras(flags: ParsedFlags): { thinking: boolean; schema?: Record<string, unknown> } | undefined {
  const thinking = flags.booleans.has("thinking");
  const path = flags.strings.schema;
  if (path === undefined) return thinking ? { thinking } : undefined;
  let schema: unknown;
  try {
    schema = JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Error
      ? error.message
      : String(error);
    throw new UsageError(`Cannot read the schema "${path}": ${reason}`);
  }
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    throw new UsageError(`Cannot use the schema "${path}": it must be a JSON object`);
  }
  return { thinking, schema: { ...schema } };
}

/** The words, then what is piped in: `cat report.txt | inferd generate "Summarize this"`. */
async function readPrompt(words: readonly string[]): Promise<string> {
  if (words.includes("-") && words.length > 1) {
    throw new UsageError('"-" reads the prompt from stdin, alone; next to a prompt, leave it out: stdin is added');
  }
  const said = words[0] === "-" ? "" : words.join(" ");
  const piped = said !== "" && Deno.stdin.isTerminal() ? "" : (await readInput("the prompt")).replace(/\n$/, "");
  const prompt = [said, piped].filter((text) => text !== "").join("\n\n");
  if (prompt.trim() === "") {
    throw new UsageError('The prompt is empty: give it as in "inferd generate hello", or on stdin');
  }
  return prompt;
}

async function printAnswer(client: Client, request: GenerateRequest, printer: AnswerPrinter): Promise<void> {
  try {
    for await (const event of client.generate(request)) {
      if (event.type === "text") await printer.text(event.text);
      else if (event.type === "done") {
        await printer.end(event.stopReason === "max_tokens" ? event.usage.completionTokens : undefined);
      }
    }
  } catch (error) {
    await printer.breakOff();
    throw error;
  }
}

async function printAnswerV2(client: Client, request: GenerateV2Request, printer: AnswerPrinter): Promise<void> {
  try {
    for await (const event of client.generate(request)) {
      if (event.type === "text") await printer.text(event.text);
      else if (event.type === "thinking") await printer.thinking(event.text);
      else if (event.type === "done") {
        await printer.end(event.stopReason === "max_tokens" ? event.usage.completionTokens : undefined);
      }
    }
  } catch (error) {
    await printer.breakOff();
    throw error;
  }
}

async function printJson(client: Client, request: GenerateRequest): Promise<void> {
  const { text, usage, stopReason, backend } = await client.generate({ ...request, stream: false }).result();
  await writeText(
    Deno.stdout,
    JSON.stringify({ content: text, usage: usageFields(usage), stop_reason: stopReason, backend }) + "\n",
  );
}

async function printJsonV2(client: Client, request: GenerateV2Request): Promise<void> {
  const { text, thinking, usage, stopReason, backend } = await client.generate({ ...request, stream: false }).result();
  await writeText(
    Deno.stdout,
    JSON.stringify({ content: text, thinking, usage: usageFields(usage), stop_reason: stopReason, backend }) + "\n",
  );
}

function usageFields(usage: { promptTokens: number; completionTokens: number }): Record<string, number> {
  return { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens };
}
