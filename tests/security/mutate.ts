/**
 * Takes each mitigation of `mutations.ts` out in a copy of the checkout and runs the test that guards it, which must
 * fail then. First every test passes once in the untouched copy. Takes minutes: not a part of the gate.
 *
 * usage: deno task mutate [--from] [WORDS OF A THREAT]   (--from: the table from that threat on)
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

/** What a test printed when it failed; type errors count for nothing: only a test that runs and fails is red. */
async function failure(cwd: string, test: string): Promise<string | undefined> {
  const signal = AbortSignal.timeout(MAX_MS);
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    signal,
    args: ["test", "-A", "--no-check", "--fail-fast", test],
    cwd,
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "null",
  }).output();
  if (signal.aborted) return `It ran for ${MAX_MS / 1000} s`;
  const printed = new TextDecoder().decode(stdout);
  const ran = /\| (\d+) passed.*\| (\d+) failed/.exec(printed);
  if (ran === null) throw new Error(`${test} did not run to its end (exit code ${code})`);
  return code === 0 ? undefined : printed;
}

/** Kill what a run that failed has left behind; Linux only. */
function killLeft(cwd: string): void {
  if (Deno.build.os !== "linux") return;
  for (const { name } of Deno.readDirSync("/proc")) {
    try {
      if (/^\d+$/.test(name) && Deno.readLinkSync(`/proc/${name}/cwd`).startsWith(cwd)) {
        Deno.kill(Number(name), "SIGKILL");
      }
    } catch {
      // ended meanwhile
    }
  }
}

if (import.meta.main) {
  const isFrom = Deno.args[0] === "--from";
  const words = Deno.args.slice(isFrom ? 1 : 0).join(" ");
  const first = MITIGATIONS.findIndex(({ threat }) => threat.includes(words));
  const chosen = MITIGATIONS.filter(({ threat }, index) =>
    isFrom ? first >= 0 && index >= first : threat.includes(words)
  );
  if (chosen.length === 0) {
    console.error(`No threat has the words "${words}"`);
    Deno.exit(2);
  }
  await using copy = await copyCheckout((config) => config);
  let faults = 0;
  for (const test of new Set(chosen.map((one) => one.test))) {
    const printed = await failure(copy.path, test);
    if (printed === undefined) continue;
    faults++;
    console.error(`${test} fails in the untouched copy: ${printed}`);
  }
  for (const one of faults > 0 ? [] : chosen) {
    const text = await Deno.readTextFile(join(ROOT, one.file));
    await Deno.writeTextFile(join(copy.path, one.file), takeOut(one, text));
    const begun = performance.now();
    const survived = await failure(copy.path, one.test) === undefined;
    const secs = Math.round((performance.now() - begun) / 1000);
    killLeft(copy.path);
    await Deno.writeTextFile(join(copy.path, one.file), text);
    if (survived) faults++;
    console.log(`${survived ? "NOT NOTICED" : "red"}: ${one.threat} (${one.file}, ${one.test}, ${secs} s)`);
  }
  Deno.exitCode = faults === 0 ? 0 : 1;
}
