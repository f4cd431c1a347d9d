/** Process that fetches native libraries: one order on stdin, reports on stdout. */
import { TextLineStream } from "@std/streams/text-line-stream";
import { downloadPackage, probeRegistry } from "./download.ts";
import type { FetchOrder, FetchReport } from "./fetch_messages.ts";
import { PACKAGE_SCOPE } from "../packages.ts";
import { configuredRegistry, RegistryError } from "../registry.ts";
import { DownloadError } from "./registry_client.ts";

function report(message: FetchReport): void {
  let bytes = new TextEncoder().encode(`${JSON.stringify(message)}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

async function fetchAll({ packages, cacheDir, probe }: FetchOrder): Promise<void> {
  const sources = { env: (name: string) => Deno.env.get(name), read: readText };
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

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
const { value: first } = await lines.read();
if (first === undefined) Deno.exit(0);
// The daemon is gone.
void lines.read().then(() => Deno.exit(0));
try {
  await fetchAll(JSON.parse(first) as FetchOrder);
  report({ type: "done" });
  Deno.exit(0);
} catch (error) {
  if (!(error instanceof DownloadError || error instanceof RegistryError)) console.error(error);
  report({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  Deno.exit(1);
}
