/** Dispatch byte for byte: frames out, frames in, nothing of the client's. */
import type { DispatchRequest, DispatchResponse } from "@inferd/client/protocol";
import { WireClient } from "./wire_client.ts";

/** A dispatch request with what most tests do not care about. */
export function request(ops: string, fields: Partial<DispatchRequest> = {}): Record<string, unknown> {
  return { ops, namespace: "default", presentation: null, presentation_per_op: null, ...fields };
}

/** A frame of this body, or of a length that lies. */
export function frame(body: string | Uint8Array, length?: number): Uint8Array {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const whole = new Uint8Array(4 + bytes.length);
  new DataView(whole.buffer).setUint32(0, length ?? bytes.length);
  whole.set(bytes, 4);
  return whole;
}

/** Everything a connection still gives; a reset is an end. */
export async function rest({ conn }: WireClient): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const chunk = new Uint8Array(64 * 1024);
    const count = await conn.read(chunk).catch((error: unknown) => {
      if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe) return null;
      throw error;
    });
    if (count === null) break;
    parts.push(chunk.subarray(0, count));
  }
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

/**
 * The one frame a connection answers with before it ends.
 *
 * @throws {Deno.errors.ConnectionReset} If it ends without one, as in a drain.
 */
export async function response(client: WireClient): Promise<DispatchResponse> {
  const bytes = await rest(client);
  if (bytes.length === 0) throw new Deno.errors.ConnectionReset("The connection ended without an answer");
  const length = new DataView(bytes.buffer).getUint32(0);
  if (length !== bytes.length - 4) throw new Error(`The frame says ${length} bytes and has ${bytes.length - 4}`);
  return JSON.parse(new TextDecoder().decode(bytes.subarray(4)));
}

/** One request on a connection of its own. */
export async function dispatch(path: string, asked: unknown): Promise<DispatchResponse> {
  using client = await WireClient.connect(path);
  await client.write(frame(JSON.stringify(asked)));
  return await response(client);
}

/** What a request's calls came to; fails the test if nothing was run. */
export function results({ ok, result }: DispatchResponse): { ok: boolean; value?: unknown; error?: string }[] {
  if (!ok || result === null) throw new Error("Nothing was run");
  return JSON.parse(result);
}
