/**
 * Takes each mitigation of `mutations.ts` out in a copy of the checkout and runs the test that guards it, which must
 * fail then. First every test passes once in the untouched copy. Takes minutes: not a part of the gate.
 *
 * usage: deno task mutate [WORDS OF A THREAT]
 */
import { join } from "@std/path";
import { copyCheckout, ROOT } from "../../packaging/copy.ts";
import { type Mitigation, MITIGATIONS } from "./mutations.ts";

/** A mitigation's text is not, or not once, where the table says. */
export class MovedError extends Error {
  override readonly name = "MovedError";
}

/**
 * Take a mitigation out of a source.
 *
 * @throws {MovedError} Unless its text is there exactly once.
 */
export function takeOut({ file, source, replacement }: Mitigation, text: string): string {
  const parts = text.split(source);
  if (parts.length !== 2) {
    throw new MovedError(`"${file}" has this text ${parts.length - 1} times, not once; renew the table: ${source}`);
  }
  return parts.join(replacement);
}

/** A test that hangs without the mitigation has noticed that, too. */
const MAX_MS = 300_000;

/** Type errors count for nothing: only a test that runs and fails is red. */
async function passes(cwd: string, test: string): Promise<boolean> {
  const signal = AbortSignal.timeout(MAX_MS);
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    signal,
    args: ["test", "-A", "--no-check", test],
    cwd,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "null",
  }).output();
  if (signal.aborted) return false;
  const ran = /\| (\d+) passed.*\| (\d+) failed/.exec(new TextDecoder().decode(stdout));
  if (ran === null) throw new Error(`${test} did not run to its end (exit code ${code})`);
  return code === 0;
}

if (import.meta.main) {
  const words = Deno.args.join(" ");
  const chosen = MITIGATIONS.filter(({ threat }) => threat.includes(words));
  if (chosen.length === 0) {
    console.error(`No threat has the words "${words}"`);
    Deno.exit(2);
  }
  await using copy = await copyCheckout((config) => config);
  let faults = 0;
  for (const test of new Set(chosen.map((one) => one.test))) {
    if (await passes(copy.path, test)) continue;
    faults++;
    console.error(`${test} fails in the untouched copy`);
  }
  for (const one of faults > 0 ? [] : chosen) {
    const text = await Deno.readTextFile(join(ROOT, one.file));
    await Deno.writeTextFile(join(copy.path, one.file), takeOut(one, text));
    const survived = await passes(copy.path, one.test);
    await Deno.writeTextFile(join(copy.path, one.file), text);
    if (survived) faults++;
    console.log(`${survived ? "NOT NOTICED" : "red"}: ${one.threat} (${one.file}, ${one.test})`);
  }
  Deno.exitCode = faults === 0 ? 0 : 1;
}
