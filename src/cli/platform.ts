/** What inferd cannot do on some systems, said before anything is tried. */
import { UsageError } from "../config/setting/usage_error.ts";

/**
 * Refuse where there can be no daemon.
 *
 * @param platform As `Deno.build.os` names it.
 * @throws {UsageError} On Windows.
 */
export function checkPlatform(platform: string): void {
  if (platform !== "windows") return;
  throw new UsageError(
    "The daemon does not run on Windows, where Deno has no unix sockets. Run it in WSL, with --tcp for clients on Windows",
  );
}
