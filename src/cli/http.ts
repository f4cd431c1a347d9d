/** `inferd http`: runs the HTTP bridge in the foreground until a signal. */
import { fileURLToPath } from "node:url";
import type { SurfaceName } from "@inferd/client";
import type { TcpAddress } from "@inferd/client/paths";
import { SURFACES } from "@inferd/client/protocol";
import { requireKey } from "../config/exposure.ts";
import { loadConfig, readKey } from "../config/load.ts";
import { httpListen, type Machine, settle } from "../config/resolve.ts";
import { HTTP_SETTINGS, type SettledValues } from "../config/schema.ts";
import type { HttpOptions, HttpServer, startHttp } from "../http/server.ts";
import { UNTIL_EOF_FLAG } from "../monitor/http_command.ts";
import { missingHttpFlags } from "../monitor/permissions/permissions.ts";
import { openPullStore } from "./pull_store.ts";
import { type Command, parseCommand } from "./command.ts";
import { type Target, target } from "./reach.ts";
import { dieWithParent, refuseDebugger } from "./process_guard.ts";
import { complain } from "./terminal/output.ts";
import { settingName } from "../config/setting/surface_settings.ts";
import { typed } from "../config/setting/typed_command.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { tcpText } from "../config/setting/value_types.ts";

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM", "SIGHUP"];

export const http: Command = {
  name: "http",
  usage: "http [FLAGS]",
  summary: "Serve the OpenAI, Anthropic and Ollama APIs over HTTP, as a client of the running daemon",
  settings: HTTP_SETTINGS,
  flags: [{ flag: `--${UNTIL_EOF_FLAG}`, help: "end when standard input ends (set by serve --http)" }],
  exits: ["0 ended by a signal", "1 could not listen", "2 bad flags, environment or configuration file"],

  async run(args, { machine }): Promise<number> {
    // A computed specifier, so that no other command loads the bridge. Deno requires read access to such a module, which
    // the bridge's own process, started with `http_main.ts`, does not have.
    const module = import.meta.resolve("../http/server.ts");
    if (module.startsWith("file:") && Deno.permissions.querySync({ name: "read" }).state !== "granted") {
      const program = JSON.stringify(fileURLToPath(import.meta.resolve("./http_main.ts")));
      throw new UsageError(
        `Cannot load the HTTP bridge: this process may not read the program's files. Run ${program} instead of main.ts`,
      );
    }
    const { startHttp }: typeof import("../http/server.ts") = await import(module);
    return await runHttp(args, machine, startHttp);
  },
};

/**
 * Run the bridge in this process until a signal.
 *
 * @throws {UsageError} If flags, environment or configuration file are wrong.
 */
export async function runHttp(args: readonly string[], machine: Machine, start: typeof startHttp): Promise<number> {
  const flags = parseCommand(http, args, machine.env, 0);
  refuseDebugger();
  // A stopped process notices EOF only when it resumes.
  if (flags.booleans.has(UNTIL_EOF_FLAG)) dieWithParent();
  const config = await loadConfig(flags.values, machine.env);
  const { values } = settle(flags.values, machine, config);
  const listen = httpListen(values);
  const apiKey = keyOf(values);
  const { hostname, port } = listen.address;
  requireKey(hostname, apiKey !== undefined);
  const place = (surface: SurfaceName): Promise<Target> => target(flags, machine.env, surface);
  const [infer, v2] = [await place("infer"), await place("v2")];
  const [embed, rerank] = [await place("embed"), await place("rerank")];
  const options: HttpOptions = {
    listen: listen.address,
    daemon: {
      surfaces: { infer: infer.infer, v2: v2.infer, embed: embed.infer, rerank: rerank.infer },
      admin: infer.admin,
    },
    apiKey,
    origins: listen.origins,
    aliases: listen.aliases,
    store: listen.pullInto === undefined ? undefined : await openPullStore(listen.pullInto, machine),
    pullCommand: typed("pull"),
    onUnexpected: (error) => complain(`inferd http: ${withoutMessage(error)}`),
  };
  const onSockets = [infer, v2, embed, rerank].flatMap(({ infer: { surface = "infer", tcp } }) => tcp ? [] : [surface]);
  const missing = missingHttpFlags([
    ...onSockets.map((surface) => values[settingName(SURFACES[surface].flag)]),
    values.adminAddr,
  ]);
  if (missing.length > 0) {
    complain(
      `inferd: Cannot serve HTTP without ${missing.join(" ")}. "${typed("permissions http")}" prints all flags`,
    );
    return 1;
  }
  giveBack();
  if (!mayListen(listen.address)) {
    const address = `${hostname}:${port}`;
    complain(
      `inferd: Cannot listen on ${address}: this process was started without the permission. ` +
        `Start it with the flags that "${
          typed(`permissions http --http ${address}`)
        }" prints, or set INFERD_HTTP=${address}`,
    );
    return 1;
  }
  let server: HttpServer;
  try {
    server = await start(options);
  } catch (error) {
    complain(`inferd: Cannot listen on ${hostname}:${port}: ${reasonOf(error)}`);
    return 1;
  }
  // A reader of the ready message may stop it immediately.
  const end = ended(flags.booleans.has(UNTIL_EOF_FLAG));
  complain(`Listening on ${server.url}`);
  await end;
  await server.drain();
  return 0;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!("code" in error) || error.code !== "EADDRINUSE") return error.message;
  return "another program listens there. Stop it, or choose another port with --http HOST:PORT";
}

/** The API key clients must send. */
function keyOf({ apiKey, apiKeyFile }: Pick<SettledValues, "apiKey" | "apiKeyFile">): string | undefined {
  return apiKey ?? (apiKeyFile === undefined ? undefined : readKey(apiKeyFile));
}

/** Checked in advance, because the server's own permission error could not be caught. */
function mayListen(address: TcpAddress): boolean {
  return Deno.permissions.querySync({ name: "net", host: tcpText(address) }).state === "granted";
}

/** Drops permissions it never needs, in case it was started with more than the exact ones. */
function giveBack(): void {
  for (const name of ["run", "ffi", "import"] as const) Deno.permissions.revokeSync({ name });
}

/** Resolves at the first signal or at EOF on stdin; a second signal has its default effect. */
async function ended(atEof: boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of SIGNALS) Deno.addSignalListener(signal, resolve);
  if (atEof) void Deno.stdin.readable.pipeTo(new WritableStream()).finally(resolve);
  await promise;
  for (const signal of SIGNALS) Deno.removeSignalListener(signal, resolve);
}

/** Stack of an error without its message, which may contain request text. */
function withoutMessage(error: unknown): string {
  if (!(error instanceof Error)) return "an unexpected error";
  const frames = error.stack?.split("\n").filter((line) => /^\s+at /.test(line)) ?? [];
  return [error.name, ...frames].join("\n");
}
