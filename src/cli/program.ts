/** What every program of ours that a user or the monitor starts does first and last. */
import { setColorEnabled } from "@std/fmt/colors";
import type { Machine } from "../config/resolve.ts";
import { CALLED_AS_VARIABLE, howCalled, setCalledAs, TASK_VARIABLE, typed } from "../config/setting/typed_command.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { UnreachableError } from "./command.ts";
import { complain, isScreen, setTerminalType } from "./terminal/output.ts";

/** The machine that this process runs on. */
export function thisMachine(): Machine {
  return {
    env: (name) => Deno.env.get(name),
    platform: Deno.build.os,
    // Asked for only where no variable names the runtime directory: it costs a permission.
    get uid(): number | null {
      return Deno.uid();
    },
    get memoryBytes(): number {
      return Deno.systemMemoryInfo().total;
    },
  };
}

/**
 * Run a program and exit with its code. What is not a bug is one line on stderr.
 *
 * @param main The program; resolves with its exit code.
 */
export async function runProgram(main: () => Promise<number>): Promise<void> {
  // Where it is not allowed to be read, it is a terminal like any other.
  setTerminalType(readable("TERM"));
  setColorEnabled(!Deno.noColor && isScreen(Deno.stdout));
  setCalledAs(howCalled({
    env: (name) => name === CALLED_AS_VARIABLE || name === TASK_VARIABLE ? readable(name) : undefined,
    isStandalone: Deno.build.standalone,
    execPath: Deno.execPath(),
    mainModule: import.meta.resolve("../../main.ts"),
    isInstalled,
  }));
  try {
    Deno.exit(await main());
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0); // The reader has closed the pipe.
    if (error instanceof Deno.errors.NotCapable) {
      complain(`inferd: ${error.message}; "${typed("permissions")}" prints the flags of every process`);
      Deno.exit(1);
    }
    const isWrong = error instanceof UsageError || error instanceof UnreachableError;
    // What the system refuses where nobody counts on it: above all a stdout that takes no more.
    const isRefused = error instanceof Error && "code" in error && typeof error.code === "string";
    if (!isWrong && !isRefused) throw error;
    complain(`inferd: ${error.message}`);
    Deno.exit(isWrong ? 2 : 1);
  }
}

/** A variable, where it may be read: asking for it otherwise would prompt on a terminal. */
function readable(variable: string): string | undefined {
  return Deno.permissions.querySync({ name: "env", variable }).state === "granted" ? Deno.env.get(variable) : undefined;
}

/** Whether a folder of the path has a program of our name; where that may not be looked at, it has none. */
function isInstalled(): boolean {
  const path = readable("PATH");
  if (path === undefined || Deno.permissions.querySync({ name: "read" }).state !== "granted") return false;
  const [separator, name] = Deno.build.os === "windows" ? [";", "inferd.cmd"] : [":", "inferd"];
  return path.split(separator).filter((folder) => folder !== "").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false; // whatever it is, it cannot be started
    }
  });
}
