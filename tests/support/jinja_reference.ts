/** Python's jinja2 as a reference, where this machine has it. */
import { fromFileUrl } from "@std/path";

const SCRIPT = fromFileUrl(new URL("jinja_reference.py", import.meta.url));

/** A template and the variables it is rendered with, one rendering each. */
export interface Job {
  readonly template: string;
  readonly variables: readonly Readonly<Record<string, unknown>>[];
}

/** A text, or why there is none. */
export type Answer =
  | { readonly text: string }
  | { readonly error: string; readonly raised: boolean; readonly line?: number | null };

/** The Python that has jinja2, or `undefined` if there is none. */
export async function findPython(): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    try {
      const { success } = await new Deno.Command(python, { args: ["-c", "import jinja2"], stderr: "null" }).output();
      if (success) return python;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/**
 * What Python's jinja2 renders.
 *
 * @param python The Python to run.
 * @param jobs The templates and their variables.
 * @param now The time that `strftime_now` tells.
 * @returns For each job, one answer for each of its variables.
 */
export async function renderWithPython(python: string, jobs: readonly Job[], now: Date): Promise<Answer[][]> {
  const child = new Deno.Command(python, { args: [SCRIPT], stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({ now: now.getTime() / 1000, jobs })));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`The reference failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
