/** `inferd embed`: embeds texts and prints the vectors as JSON. */
import type { EmbedTask } from "@inferd/client";
import { numberFlag } from "../config/flags.ts";
import { clientSettings } from "../config/schema.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { EMBED_TASKS } from "../surfaces/embed.ts";
import { writeText } from "./terminal/output.ts";
import { type Command, parseCommand } from "./command.ts";
import { readLines } from "./terminal/input.ts";
import { target } from "./reach.ts";
import { MODEL_FLAG } from "./generation_flags.ts";
import { whileLoading } from "./loading.ts";
import { REQUEST_EXITS, runRequest } from "./run_request.ts";
import { typed } from "../config/setting/typed_command.ts";

export const embed: Command = {
  name: "embed",
  usage: "embed [TEXT...] [FLAGS]",
  summary: "Embed texts: one for each argument, or for each line on stdin",
  settings: clientSettings("embed"),
  flags: [
    {
      flag: "--task NAME",
      help: `what the embeddings are for: ${EMBED_TASKS.join(", ")}`,
      choices: EMBED_TASKS,
    },
    MODEL_FLAG,
    { flag: "--dimensions N", help: "truncate vectors to this many dimensions (default: the model's)" },
  ],
  exits: REQUEST_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env);
    const dimensions = numberFlag(flags, "dimensions", { min: 1, max: 1_000_000, whole: true });
    const task = readTask(flags.strings.task);
    const where = await target(flags, machine.env, "embed");
    const fromStdin = flags.rest.length === 0 || (flags.rest.length === 1 && flags.rest[0] === "-");
    const texts = fromStdin ? await readLines("the texts, one a line,") : [...flags.rest];
    if (texts.length === 0) {
      throw new UsageError(
        `No texts were given: give them as in "${typed('embed "a text" "another"')}", or one per line on stdin`,
      );
    }
    const empty = texts.indexOf("");
    if (empty >= 0) throw new UsageError(`Text ${empty + 1} is empty`);
    const { model } = flags.strings;
    return await runRequest({ ...where, model }, async (client) => {
      const { embeddings, usage, ...answer } = await whileLoading(
        where,
        () => client.embed(texts, { dimensions, task, model }),
      );
      await writeText(
        Deno.stdout,
        JSON.stringify({ embeddings, ...answer, usage: { input_tokens: usage.promptTokens } }) + "\n",
      );
    });
  },
};

function readTask(text: string | undefined): EmbedTask | undefined {
  const task = EMBED_TASKS.find((known) => known === text);
  // Validated here so that an invalid one is a usage error; the daemon would refuse it, too.
  if (text !== undefined && task === undefined) {
    throw new UsageError(`--task must be one of ${EMBED_TASKS.join(", ")}, got ${JSON.stringify(text)}`);
  }
  return task;
}
