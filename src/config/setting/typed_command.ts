/**
 * How the user types an inferd command: messages must only name commands that exist for the user. Determined once at
 * start, from how the process was started.
 */

/** Holds how to type `inferd`, e.g. `deno task`; passed on to child processes. */
export const CALLED_AS_VARIABLE = "INFERD_CALLED_AS";
/** The folder in which a task was started; set by the task runner, Deno or npm. */
export const TASK_VARIABLE = "INIT_CWD";

const PACKAGE = "jsr:@inferd/daemon";
const INSTALLED = "inferd";
/** Tasks whose names differ from their commands. */
export const TASKS: Readonly<Record<string, string>> = { serve: "start" };

let calledAs = INSTALLED;

export interface CallFacts {
  readonly env: (name: string) => string | undefined;
  readonly isStandalone: boolean;
  readonly execPath: string;
  /** The URL of the program. */
  readonly mainModule: string;
  /** Whether `inferd` is on the `PATH`. */
  readonly isInstalled: () => boolean;
}

/** @returns The words that the user types before a command's name. */
export function howCalled({ env, isStandalone, execPath, mainModule, isInstalled }: CallFacts): string {
  const told = env(CALLED_AS_VARIABLE);
  if (told) return told;
  if (isStandalone) return execPath.split(/[/\\]/).at(-1) ?? INSTALLED;
  const deno = denoWords(execPath);
  const main = mainModule.startsWith("file:") ? decodeURIComponent(new URL(mainModule).pathname) : undefined;
  // A task of another folder belongs to another program.
  if (main !== undefined && `${env(TASK_VARIABLE) ?? ""}/`.startsWith(main.slice(0, main.lastIndexOf("/") + 1))) {
    return `${deno} task`;
  }
  if (isInstalled()) return INSTALLED;
  return `${deno} run -A ${main === undefined ? PACKAGE : quoted(main)}`;
}

/** How to type Deno itself. */
export function denoWords(execPath: string): string {
  // npm's cache is not on the `PATH`.
  return /[/\\]_npx[/\\]/.test(execPath) ? "npx --yes deno" : "deno";
}

/** @param words As {@linkcode howCalled} finds them. */
export function setCalledAs(words: string): void {
  calledAs = words;
}

/** As {@linkcode howCalled} found it. */
export function calledAsWords(): string {
  return calledAs;
}

/** A command as the user types it, with what follows it: `pull NAME`. */
export function typed(words: string): string {
  const [command = "", ...rest] = words.split(" ");
  return [calledAs, typedName(command), ...rest].join(" ");
}

/** Format the name of a command as the user types it. */
export function typedName(command: string): string {
  return calledAs.endsWith(" task") ? TASKS[command] ?? command : command;
}

/** Quote a word for a shell if necessary. */
export function quoted(word: string): string {
  return /^[\w./:@%+=,~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
