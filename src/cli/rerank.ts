/** `inferd rerank`: orders documents by relevance to a query and prints JSON. */
import { numberFlag } from "../config/flags.ts";
import { clientSettings } from "../config/schema.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { writeText } from "./terminal/output.ts";
import { type Command, parseCommand } from "./command.ts";
import { readLines } from "./terminal/input.ts";
import { target } from "./reach.ts";
import { MODEL_FLAG } from "./generation_flags.ts";
import { whileLoading } from "./loading.ts";
import { REQUEST_EXITS, runRequest } from "./run_request.ts";
import { typed } from "../config/setting/typed_command.ts";

export const rerank: Command = {
  name: "rerank",
  usage: "rerank QUERY [DOCUMENT...] [FLAGS]",
  summary: "Rank documents by relevance to a query; documents are arguments, or lines on stdin",
  settings: clientSettings("rerank"),
  flags: [MODEL_FLAG, { flag: "--top-n N", help: "return only the N best documents (default: all)" }],
  exits: REQUEST_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env);
    const topN = numberFlag(flags, "top-n", { min: 1, max: 1_000_000, whole: true });
    const [query, ...words] = flags.rest;
    if (query === undefined || query.trim() === "") {
      throw new UsageError(`The query is empty: give it as in "${typed("rerank QUERY DOCUMENT...")}"`);
    }
    const where = await target(flags, machine.env, "rerank");
    const fromStdin = words.length === 0 || (words.length === 1 && words[0] === "-");
    const documents = fromStdin ? await readLines("the documents, one a line,") : words;
    if (documents.length === 0) {
      throw new UsageError("No documents were given: give them after the query, or one per line on stdin");
    }
    const empty = documents.indexOf("");
    if (empty >= 0) throw new UsageError(`Document ${empty + 1} is empty`);
    const { model } = flags.strings;
    return await runRequest({ ...where, model }, async (client) => {
      const { results, usage, ...answer } = await whileLoading(
        where,
        () => client.rerank(query, documents, { topN, model }),
      );
      await writeText(
        Deno.stdout,
        JSON.stringify({ results, ...answer, usage: { input_tokens: usage.promptTokens } }) + "\n",
      );
    });
  },
};
