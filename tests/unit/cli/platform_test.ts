/** What does not work on Windows is refused in one line, before anything is tried. */
import { assertEquals, assertRejects } from "@std/assert";
import type { Command } from "../../../src/cli/command.ts";
import { doctor } from "../../../src/cli/doctor.ts";
import { serve } from "../../../src/cli/serve.ts";
import { service } from "../../../src/cli/service.ts";
import type { Machine } from "../../../src/config/resolve.ts";
import { UsageError } from "../../../src/config/setting/usage_error.ts";

const WINDOWS: Machine = { env: () => undefined, uid: null, platform: "windows", memoryBytes: 8e9 };

function refused(command: Command, args: readonly string[]): Promise<UsageError> {
  const run = (): Promise<number> => command.run(args, { machine: WINDOWS, commands: () => Promise.resolve([]) });
  return assertRejects(run, UsageError);
}

for (const [command, ...args] of [[serve], [doctor], [service, "install"], [service, "uninstall"]] as const) {
  Deno.test(`inferd ${[command.name, ...args].join(" ")} is refused on Windows in one line that says where it runs`, async () => {
    const { message } = await refused(command, args);
    assertEquals(
      message,
      "The daemon does not run on Windows, where Deno has no unix sockets. " +
        "Run it in WSL, with --tcp for clients on Windows",
    );
  });
}
