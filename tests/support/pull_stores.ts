/** A store that HTTP clients may download into, for a bridge in this process, and a hub to download from. */
import { createHash } from "node:crypto";
import type { ModelStore } from "../../src/http/model_store.ts";
import type { Store } from "../../src/models/store.ts";
import { PULL_WORKER } from "../../src/monitor/permissions/pull_needs.ts";
import { startPullWorker } from "../../src/pulls/pull_worker.ts";
import { type Answer, ModelServer } from "./model_server.ts";

/**
 * Start the worker.
 *
 * @param store Where it downloads to.
 * @param hub Stands for Hugging Face.
 */
export async function pullStore({ root }: Store, hub: { readonly url: string }): Promise<ModelStore> {
  return await startPullWorker({
    url: PULL_WORKER,
    root,
    memoryBytes: 2 ** 34,
    env: { HF_ENDPOINT: new URL(hub.url).origin },
    progressMs: 0,
    pullCommand: "inferd pull",
  });
}

/**
 * A hub whose every repository has one file.
 *
 * @param file Its name.
 * @param content What it holds.
 * @param script What to do to the first request, the second, …; the list is asked for first.
 */
export function hubOf(file: string, content: Uint8Array<ArrayBuffer>, script: readonly Answer[] = []): ModelServer {
  const oid = createHash("sha256").update(content).digest("hex");
  const list = JSON.stringify([{ path: file, size: content.length, lfs: { oid } }]);
  return new ModelServer({ main: new TextEncoder().encode(list), [file]: content }, script);
}
