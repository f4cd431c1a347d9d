/** Process that fetches native libraries: one order in, reports out, on pipes or on the private socket. */
import { TextLineStream } from "@std/streams/text-line-stream";
import { downloadPackage } from "./download.ts";
import { ENVIRONMENT } from "./fetch_command.ts";
import type { FetchOrder, FetchReport } from "./fetch_messages.ts";
import { exit, ownArguments } from "../../confinement/confined.ts";
import { PACKAGE_SCOPE } from "../packages.ts";
import { configuredRegistry, RegistryError } from "../registry.ts";
import { DownloadError, probeRegistry } from "./registry_client.ts";
import { errorText } from "../../log/error_text.ts";

/** Where the daemon is. */
interface Wire {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  write(bytes: Uint8Array): Promise<number>;
}

/** On the private socket where the command line names one, and the number to say there first. */
async function openWire(): Promise<Wire> {
  const [path, number] = await ownArguments();
  if (path === undefined) {
    return { readable: Deno.stdin.readable, write: (bytes) => Promise.resolve(Deno.stdout.writeSync(bytes)) };
  }
  const conn = await Deno.connect({ transport: "unix", path });
  await writeAll(conn, `${number}\n`);
  return conn;
}

async function writeAll(wire: Pick<Wire, "write">, text: string): Promise<void> {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(await wire.write(bytes));
}

/** Resolves when everything is written that was reported. */
let reported: Promise<void> = Promise.resolve();

function report(message: FetchReport): void {
  reported = reported.then(() => writeAll(wire, `${JSON.stringify(message)}\n`));
}

async function fetchAll({ packages, cacheDir, probe }: FetchOrder): Promise<void> {
  const sources = {
    env: (name: string) => ENVIRONMENT.includes(name) ? Deno.env.get(name) : undefined,
    read: readText,
  };
  if (probe !== undefined) await probeRegistry(probe, configuredRegistry(sources));
  const registry = configuredRegistry(sources, PACKAGE_SCOPE);
  for (const wanted of packages) {
    await downloadPackage(wanted, {
      cacheDir,
      registry,
      onPhase: (phase) => report({ type: "phase", phase }),
      onWait: () => report({ type: "waits", package: wanted.name }),
      onRetry: ({ reason, delayMs }) => report({ type: "retried", package: wanted.name, reason, delayMs }),
    });
  }
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const wire = await openWire();
const lines = wire.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
const { value: first } = await lines.read();
if (first === undefined) exit(0);
// The daemon is gone.
void lines.read().then(() => exit(0));
try {
  await fetchAll(JSON.parse(first) as FetchOrder);
  report({ type: "done" });
  await reported;
  exit(0);
} catch (error) {
  if (!(error instanceof DownloadError || error instanceof RegistryError)) console.error(error);
  report({ type: "failed", message: errorText(error) });
  await reported;
  exit(1);
}
