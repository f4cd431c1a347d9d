/** Checks for unsupported platforms, before anything else. */
import { UsageError } from "../config/setting/usage_error.ts";

/** @throws {UsageError} On Windows, where a daemon cannot run. */
export function checkPlatform(platform: string): void {
  if (platform !== "windows") return;
  throw new UsageError(
    "The daemon does not run on Windows, where Deno has no unix sockets. Run it in WSL, with --tcp for clients on Windows",
  );
}
