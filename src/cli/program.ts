/** Setup and error handling of every program started by a user or the monitor. */
import { setColorEnabled } from "@std/fmt/colors";
import { bypassProxiesNearby } from "../backend/openai/http_client.ts";
import type { Machine } from "../config/resolve.ts";
import { CALLED_AS_VARIABLE, howCalled, setCalledAs, TASK_VARIABLE, typed } from "../config/setting/typed_command.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { UnreachableError } from "./command.ts";
import { exit, ownArguments } from "../confinement/confined.ts";
import { complain, isScreen, setTerminalType } from "./terminal/output.ts";

export function thisMachine(): Machine {
  return {
    env: (name) => Deno.env.get(name),
    platform: Deno.build.os,
    // Looked up only if no variable names the runtime directory: it costs a permission.
    get uid(): number | null {
      return Deno.uid();
    },
    get memoryBytes(): number {
      return Deno.systemMemoryInfo().total;
    },
  };
}

/**
 * Run a program and exit with its code. Expected errors are printed as one line on stderr.
 *
 * @param main The program, called with its arguments; resolves with the exit code.
 */
export async function runProgram(main: (args: readonly string[]) => Promise<number>): Promise<void> {
  const args = await ownArguments();
  // Without permission it is treated like any other terminal.
  setTerminalType(readable("TERM"));
  setColorEnabled(!Deno.noColor && isScreen(Deno.stdout));
  setCalledAs(howCalled({
    env: (name) => name === CALLED_AS_VARIABLE || name === TASK_VARIABLE ? readable(name) : undefined,
    isStandalone: Deno.build.standalone,
    execPath: Deno.execPath(),
    mainModule: import.meta.resolve("../../main.ts"),
    isInstalled,
  }));
  if (isReadable("NO_PROXY")) bypassProxiesNearby();
  try {
    exit(await main(args));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) exit(0); // The reader closed the pipe.
    if (error instanceof Deno.errors.NotCapable) {
      complain(`inferd: ${error.message}; "${typed("permissions")}" prints the flags of every process`);
      exit(1);
    }
    const isWrong = error instanceof UsageError || error instanceof UnreachableError;
    // System errors nobody handles, above all a stdout that cannot be written.
    const isRefused = error instanceof Error && "code" in error && typeof error.code === "string";
    if (!isWrong && !isRefused) throw error;
    complain(`inferd: ${error.message}`);
    exit(isWrong ? 2 : 1);
  }
}

/** Reads a variable if permitted; reading it otherwise would prompt on a terminal. */
function readable(variable: string): string | undefined {
  return isReadable(variable) ? Deno.env.get(variable) : undefined;
}

function isReadable(variable: string): boolean {
  return Deno.permissions.querySync({ name: "env", variable }).state === "granted";
}

/** Whether PATH has a program of our name; folders that may not be read count as without it. */
function isInstalled(): boolean {
  const path = readable("PATH");
  if (path === undefined || Deno.permissions.querySync({ name: "read" }).state !== "granted") return false;
  const [separator, name] = Deno.build.os === "windows" ? [";", "inferd.cmd"] : [":", "inferd"];
  return path.split(separator).filter((folder) => folder !== "").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false; // cannot be started in any case
    }
  });
}
