/** What every program of ours that a user or the monitor starts does first and last. */
import { setColorEnabled } from "@std/fmt/colors";
import type { Machine } from "../config/resolve.ts";
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
  const { state } = Deno.permissions.querySync({ name: "env", variable: "TERM" });
  setTerminalType(state === "granted" ? Deno.env.get("TERM") : undefined);
  setColorEnabled(!Deno.noColor && isScreen(Deno.stdout));
  try {
    Deno.exit(await main());
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0); // The reader has closed the pipe.
    if (error instanceof Deno.errors.NotCapable) {
      complain(`inferd: ${error.message}; "inferd permissions" prints the flags of every process`);
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
