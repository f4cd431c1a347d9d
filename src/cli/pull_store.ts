/** The store that HTTP clients may download into: the worker, started with what this process then gives up. */
import { givenVariables } from "../config/flags.ts";
import { huggingFace, type Machine } from "../config/resolve.ts";
import { typed } from "../config/setting/typed_command.ts";
import type { ModelStore } from "../http/model_store.ts";
import { HUGGING_FACE_VARIABLES } from "../models/transfer/access.ts";
import { dropPullNeeds, PULL_WORKER, workerPermissions } from "../monitor/permissions/pull_needs.ts";
import { startPullWorker } from "../pulls/pull_worker.ts";

/**
 * Start the worker that downloads, and keep none of its permissions.
 *
 * @param machine For the variables of Hugging Face, and its memory.
 */
export async function openPullStore(
  root: string,
  { env, memoryBytes }: Pick<Machine, "env" | "memoryBytes">,
): Promise<ModelStore> {
  const permissions = workerPermissions(root, huggingFace(env));
  // With unrestricted permissions Deno may lack the flag that gives a worker fewer.
  const isWhole = Deno.permissions.querySync({ name: "write" }).state === "granted";
  const store = await startPullWorker({
    url: PULL_WORKER,
    permissions: isWhole ? undefined : permissions,
    root,
    memoryBytes,
    env: givenVariables(env, ["HOME", ...HUGGING_FACE_VARIABLES]),
    pullCommand: typed("pull"),
  });
  dropPullNeeds(permissions);
  return store;
}
