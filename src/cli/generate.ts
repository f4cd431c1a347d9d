/** `inferd generate`: streams an answer to the terminal. */
import type { Attachment, Block, Client, GenerateV2Fields } from "@inferd/client";
import type { ParsedFlags } from "../config/flags.ts";
import { clientSettings } from "../config/schema.ts";
import { typed } from "../config/setting/typed_command.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { errorText } from "../log/error_text.ts";
import { formatOf, HEAD_BYTES } from "../surfaces/media_type.ts";
import { AnswerPrinter } from "./terminal/answer_printer.ts";
import { remark, writeText } from "./terminal/output.ts";
import { type Command, parseCommand } from "./command.ts";
import { readInput } from "./terminal/input.ts";
import { AnswerClock, statsOf } from "./terminal/stats_line.ts";
import { type Target, target } from "./reach.ts";
import { whileAnswering, whileLoading } from "./loading.ts";
import { REQUEST_EXITS, runRequest } from "./run_request.ts";
import { GENERATION_FLAGS, MODEL_FLAG, readGeneration } from "./generation_flags.ts";

/** Larger than any model can read. */
const MOST_FILE_BYTES = 16 * 1024 * 1024;

export const generate: Command = {
  name: "generate",
  usage: "generate [PROMPT] [FLAGS]",
  summary: "Stream an answer to a prompt, from the command line, stdin, files or all of them",
  settings: clientSettings("v2"),
  flags: [
    { flag: "--file FILE", help: "a text file that is added to the prompt; may be repeated", repeats: true },
    { flag: "--image FILE", help: "an image that goes with the prompt; may be repeated", repeats: true },
    { flag: "--schema FILE", help: "a file with a JSON Schema that the answer must follow" },
    { flag: "--json", help: "print the complete answer as one JSON object" },
    MODEL_FLAG,
    ...GENERATION_FLAGS,
  ],
  examples: [
    typed('generate "Tell me a story about a fox."'),
    `cat report.txt | ${typed('generate "Summarize this in three sentences"')}`,
    typed('generate --file main.ts "What does this program do?"'),
    typed('generate --image photo.jpg "What is in this picture?"'),
    `${typed("generate -")} < prompt.txt`,
  ],
  takesFile: true,
  exits: REQUEST_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env);
    const { system, sampling } = readGeneration(flags);
    const [extras, images] = [v2Extras(flags), readImages(flags.lists.image ?? [])];
    const files = (flags.lists.file ?? []).map(readText);
    const isPlain = extras === undefined && images.length === 0;
    const where = await target(flags, machine.env, isPlain ? "infer" : "v2");
    const prompt = await readPrompt(flags.rest, files);
    const before = system === undefined ? [] : [{ role: "system" as const, content: system }];
    const output: Output = {
      where,
      printer: new AnswerPrinter({ raw: flags.booleans.has("raw") }),
      stats: flags.booleans.has("stats"),
    };
    const content: Block[] = [
      ...images.map(({ id }): Block => ({ type: "image", attachmentId: id })),
      { type: "text", text: prompt },
    ];
    const request: GenerateV2Fields = {
      messages: [...before, { role: "user", content: images.length === 0 ? prompt : content }],
      ...sampling,
      ...isPlain ? {} : { thinking: false, ...extras },
      ...images.length === 0 ? {} : { attachments: images },
    };
    const print = flags.booleans.has("json") ? printJson : printAnswer;
    return await runRequest({ ...where, model: extras?.model }, (client) => print(client, request, output));
  },
};

interface Output {
  readonly where: Target;
  readonly printer: AnswerPrinter;
  readonly stats: boolean;
}

/** Request fields that only v2 has. */
type V2Extras = Pick<GenerateV2Fields, "model" | "thinking"> & { readonly schema?: Record<string, unknown> };

/** The v2 fields in use; `undefined` if there are none. */
function v2Extras(flags: ParsedFlags): V2Extras | undefined {
  const { schema: path, model } = flags.strings;
  const plain = { thinking: flags.booleans.has("thinking"), ...model === undefined ? {} : { model } };
  if (path === undefined) return plain.thinking || model !== undefined ? plain : undefined;
  const schema: unknown = read("schema", path, (bytes) => JSON.parse(new TextDecoder().decode(bytes)));
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    throw new UsageError(`Cannot use the schema "${path}": it must be a JSON object`);
  }
  return { ...plain, schema: { ...schema } };
}

function readImages(paths: readonly string[]): Attachment[] {
  return paths.map((path, index) => {
    const bytes = read("image", path, (bytes) => bytes);
    if (!formatOf(bytes.subarray(0, HEAD_BYTES))?.kinds.includes("image")) {
      throw new UsageError(`Cannot use "${path}": it is not an image of a known format, such as PNG, JPEG or WebP`);
    }
    return { id: `image-${index + 1}`, kind: "image", bytes };
  });
}

function readText(path: string): string {
  return read("file", path, (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\n$/, ""));
}

/** @throws {UsageError} If the file cannot be read, or is not what is wanted. */
function read<T>(what: "file" | "image" | "schema", path: string, parse: (bytes: Uint8Array<ArrayBuffer>) => T): T {
  try {
    const { isDirectory, size } = Deno.statSync(path);
    if (isDirectory) throw new Error("it is a folder");
    if (size > MOST_FILE_BYTES) throw new Error(`it has ${size} bytes, at most ${MOST_FILE_BYTES} are allowed`);
    return parse(Deno.readFileSync(path));
  } catch (error) {
    throw new UsageError(`Cannot read the ${what} "${path}": ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "this user may not read it";
  if (error instanceof TypeError) return "it is not a text in UTF-8; for an image use --image";
  return errorText(error);
}

/** The prompt: arguments, then files, then stdin: `cat report.txt | inferd generate "Summarize this"`. */
async function readPrompt(words: readonly string[], files: readonly string[]): Promise<string> {
  if (words.includes("-") && words.length > 1) {
    throw new UsageError('"-" reads the prompt from stdin, alone; next to a prompt, leave it out: stdin is added');
  }
  const said = words[0] === "-" ? "" : words.join(" ");
  const isSaid = (said !== "" || files.length > 0) && words[0] !== "-";
  const piped = isSaid && Deno.stdin.isTerminal() ? "" : (await readInput("the prompt")).replace(/\n$/, "");
  const prompt = [said, ...files, piped].filter((text) => text !== "").join("\n\n");
  if (prompt.trim() === "") {
    throw new UsageError(`The prompt is empty: give it as in "${typed("generate hello")}", or on stdin`);
  }
  return prompt;
}

async function printAnswer(
  client: Client,
  request: GenerateV2Fields,
  { where, printer, stats }: Output,
): Promise<void> {
  const clock = new AnswerClock();
  try {
    for await (const event of whileAnswering(where, client.generate(request))) {
      clock.tick();
      await printer.event(event);
      if (event.type === "done" && stats) remark(statsOf(event, clock));
    }
  } catch (error) {
    await printer.breakOff();
    throw error;
  }
}

async function printJson(client: Client, request: GenerateV2Fields, { where, stats }: Output): Promise<void> {
  const answer = await whileLoading(where, () => client.generate({ ...request, stream: false }).result());
  const { text, thinking, usage, stopReason, backend } = answer;
  const whole = {
    content: text,
    // v1 has none.
    ...request.thinking === undefined ? {} : { thinking },
    usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens },
    stop_reason: stopReason,
    backend,
  };
  await writeText(Deno.stdout, `${JSON.stringify(whole)}\n`);
  if (stats) remark(statsOf(answer));
}
