/** The flags of tasks that run for minutes: one that there is not ends the task before it begins. */
import { parseArgs } from "@std/cli/parse-args";

/**
 * What each flag says, or its default. Ends the process where it is `--help`, or anything else that there is not.
 *
 * @param args The task's arguments.
 * @param usage How the task is called, in one line.
 * @param defaults The flags, each with what it is without being given.
 */
export function taskFlags<Name extends string>(
  args: readonly string[],
  usage: string,
  defaults: Readonly<Record<Name, string>>,
): Record<Name, string> {
  const refused: string[] = [];
  const flags: Readonly<Record<string, unknown>> = parseArgs(args, {
    boolean: ["help"],
    string: Object.keys(defaults),
    default: defaults,
    unknown: (arg: string): void => void refused.push(arg),
  });
  if (flags.help === true) {
    console.log(`usage: ${usage}`);
    Deno.exit(0);
  }
  if (refused.length > 0) {
    console.error(`There is no "${refused[0]}"; usage: ${usage}`);
    Deno.exit(2);
  }
  return flags as Record<Name, string>;
}
