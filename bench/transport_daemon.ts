/**
 * The daemon in one process with what starts its engines, which it meets on the private socket, as `inferd serve` does,
 * or on their stdin and stdout. Everything else is the same: daemon, engine, framing. Arguments: `socket` or `pipes`,
 * then flags of `serve`.
 */
import { parseCommand } from "../src/cli/command.ts";
import { permissionContext } from "../src/cli/permissions.ts";
import { thisMachine } from "../src/cli/program.ts";
import { withKeys } from "../src/config/load.ts";
import type { DaemonOptions } from "../src/config/options.ts";
import { readOptions } from "../src/config/resolve.ts";
import { SERVE_SETTINGS, type SettingValues } from "../src/config/schema.ts";
import { startDaemon } from "../src/daemon/boot.ts";
import { childCommands } from "../src/monitor/child_commands.ts";
import { Children } from "../src/monitor/children.ts";
import { passPermissionSet } from "../src/monitor/permissions/permission_set.ts";
import { MonitorLink } from "../src/processes/monitor_link.ts";

/** What starts processes, without a process of its own. */
class MonitorWithin implements AsyncDisposable {
  readonly link: MonitorLink;
  readonly #children: Children;

  constructor(options: DaemonOptions, values: SettingValues) {
    const env = Deno.env.toObject();
    const own = (name: string): string | undefined => env[name];
    const context = { ...permissionContext(values, own), passSet: passPermissionSet };
    const orders = new TransformStream<Uint8Array<ArrayBuffer>>();
    const reports = new TransformStream<Uint8Array<ArrayBuffer>>();
    const [toChildren, toDaemon] = [orders.writable.getWriter(), reports.writable.getWriter()];
    const encoder = new TextEncoder();
    this.#children = new Children(
      childCommands(options, values, { context, env, own }),
      (report) => toDaemon.write(encoder.encode(JSON.stringify(report) + "\n")),
    );
    void this.#children.obey(orders.readable);
    this.link = new MonitorLink({
      input: reports.readable,
      write: (bytes) => {
        void toChildren.write(bytes.slice());
        return bytes.length;
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#children.killAll();
  }
}

if (import.meta.main) {
  const [transport, ...args] = Deno.args;
  if (transport !== "socket" && transport !== "pipes") {
    throw new TypeError(`The first argument must be socket or pipes, got "${transport}"`);
  }
  const machine = thisMachine();
  const { values } = parseCommand({ flags: [], settings: SERVE_SETTINGS }, args, machine.env, 0);
  const options = withKeys(await readOptions(values, machine), machine.env);
  await using monitor = transport === "socket" ? new MonitorWithin(options, values) : undefined;
  const daemon = await startDaemon(options, monitor === undefined ? {} : { link: monitor.link });
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => void daemon.drain());
  await daemon.ready;
  await daemon.done;
  await monitor?.[Symbol.asyncDispose]();
  // Signal listeners would keep the process alive.
  Deno.exit();
}
