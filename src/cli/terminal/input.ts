/** Reads input from stdin when it is not on the command line. */
import { toText } from "@std/streams/to-text";
import { remark } from "./output.ts";

/** Read all of stdin, with a hint if it is a terminal. */
export async function readInput(what: string): Promise<string> {
  if (Deno.stdin.isTerminal()) remark(`Reading ${what} from the terminal, end with Ctrl-D`);
  return await toText(Deno.stdin.readable);
}

/** Read the non-blank lines of stdin. */
export async function readLines(what: string): Promise<string[]> {
  return (await readInput(what)).split(/\r?\n/).filter((line) => line.trim() !== "");
}
