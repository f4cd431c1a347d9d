/// <reference lib="deno.worker" />
/** The worker of {@linkcode CostlySender}. */
import { delay } from "@std/async/delay";
import type { CostlyOrder, CostlyRequests } from "./costly.ts";
import { Lines, writeAll } from "./lines.ts";

let requests: readonly Uint8Array[] = [];
let to: CostlyRequests["to"] = { path: "" };

self.onmessage = async ({ data }: MessageEvent<CostlyOrder>): Promise<void> => {
  if ("lines" in data) {
    to = data.to;
    requests = data.lines.map((line) => bytesOf(data, line));
    self.postMessage("ready");
    return;
  }
  self.postMessage(await askOnce(to, requests[data.index] ?? new Uint8Array(), data.mostMs));
};

function bytesOf({ to }: CostlyRequests, line: string): Uint8Array {
  const encoder = new TextEncoder();
  if ("path" in to) return encoder.encode(line + "\n");
  const body = encoder.encode(line);
  const head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
    `Connection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(encoder.encode(head));
  bytes.set(body, head.length);
  return bytes;
}

/** Send one request on its own connection and return how it ended. */
async function askOnce(to: CostlyRequests["to"], bytes: Uint8Array, mostMs: number): Promise<string> {
  using connection = "path" in to
    ? await Deno.connect({ transport: "unix", path: to.path })
    : await Deno.connect({ hostname: "127.0.0.1", port: to.port });
  let ending = "cancelled";
  const answered = writeAll(connection, bytes).then(() =>
    new Lines(connection).until((answer) => {
      if ("port" in to) {
        ending = `status ${answer.split(" ")[1]}`;
        return true;
      }
      const { type, code } = JSON.parse(answer) as { readonly type: string; readonly code?: string };
      if (type !== "done" && type !== "error") return false;
      ending = type === "done" ? type : `error ${code}`;
      return true;
    })
  ).catch(() => {});
  const timeout = new AbortController();
  await Promise.race([answered, delay(mostMs, { signal: timeout.signal }).catch(() => {})]);
  timeout.abort();
  return ending;
}
