/** What commands read from stdin when it is not on the command line. */
import { toText } from "@std/streams/to-text";
import { remark } from "./output.ts";

/**
 * Everything on stdin. On a terminal it is said what is waited for.
 *
 * @param what What is read, e.g. `the prompt`.
 * @returns The text.
 */
export async function readInput(what: string): Promise<string> {
  if (Deno.stdin.isTerminal()) remark(`Reading ${what} from the terminal, end with Ctrl-D`);
  return await toText(Deno.stdin.readable);
}

/**
 * The lines on stdin that are not blank.
 *
 * @param what What a line is, e.g. `the documents, one a line,`.
 * @returns The lines.
 */
export async function readLines(what: string): Promise<string[]> {
  return (await readInput(what)).split(/\r?\n/).filter((line) => line.trim() !== "");
}
