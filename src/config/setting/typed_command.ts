/**
 * How this reader types a command of ours: messages name no command that the reader does not have. What the process was
 * started as decides, once, before anything is said.
 */

/** Says how to type `inferd`, e.g. `deno task`; handed on to the processes that we start. */
export const CALLED_AS_VARIABLE = "INFERD_CALLED_AS";
/** The folder in which a task was started; what runs tasks, Deno or npm, sets it. */
export const TASK_VARIABLE = "INIT_CWD";

const PACKAGE = "jsr:@inferd/daemon";
const INSTALLED = "inferd";
/** The tasks of commands that have other names. */
export const TASKS: Readonly<Record<string, string>> = { serve: "start" };

let calledAs = INSTALLED;

export interface CallFacts {
  readonly env: (name: string) => string | undefined;
  readonly isStandalone: boolean;
  readonly execPath: string;
  /** The URL of the program. */
  readonly mainModule: string;
  /** Whether the shell finds a program called `inferd`. */
  readonly isInstalled: () => boolean;
}

/**
 * How somebody types `inferd` who started this process.
 *
 * @param facts What is known of it.
 * @returns The words before the command's name.
 */
export function howCalled({ env, isStandalone, execPath, mainModule, isInstalled }: CallFacts): string {
  const told = env(CALLED_AS_VARIABLE);
  if (told) return told;
  if (isStandalone) return execPath.split(/[/\\]/).at(-1) ?? INSTALLED;
  const deno = denoWords(execPath);
  const main = mainModule.startsWith("file:") ? decodeURIComponent(new URL(mainModule).pathname) : undefined;
  // A task of another folder is another program's.
  if (main !== undefined && `${env(TASK_VARIABLE) ?? ""}/`.startsWith(main.slice(0, main.lastIndexOf("/") + 1))) {
    return `${deno} task`;
  }
  if (isInstalled()) return INSTALLED;
  return `${deno} run -A ${main === undefined ? PACKAGE : quoted(main)}`;
}

/** How to type Deno itself. */
export function denoWords(execPath: string): string {
  // In npm's cache it is on nobody's path.
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

/**
 * A command as this reader types it.
 *
 * @param words The command and what follows it, e.g. `pull NAME`.
 */
export function typed(words: string): string {
  const [command = "", ...rest] = words.split(" ");
  return [calledAs, typedName(command), ...rest].join(" ");
}

/** The name of a command as this reader types it. */
export function typedName(command: string): string {
  return calledAs.endsWith(" task") ? TASKS[command] ?? command : command;
}

/**
 * A word for a shell.
 *
 * @returns As it is, or in quotes.
 */
export function quoted(word: string): string {
  return /^[\w./:@%+=,~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
