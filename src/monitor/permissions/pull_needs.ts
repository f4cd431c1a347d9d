/**
 * Permissions for downloads that HTTP clients ask for. The bridge is started with them, hands them to a worker of its
 * own and gives them up before it listens.
 */
import { fromFileUrl } from "@std/path";
import type { HuggingFaceOptions } from "../../config/options.ts";
import { HUGGING_FACE_VARIABLES } from "../../models/transfer/access.ts";
import { HF_ENDPOINT } from "../../models/transfer/reference.ts";
import { pullHosts } from "./hosts.ts";
import { linkTarget } from "./link_targets.ts";
import { descriptor, isGranted, type Need, needs } from "./need.ts";

/** `deno run` flag for workers with fewer permissions than their process. */
export const WORKER_PERMISSIONS_FLAG = "--unstable-worker-options";

/** The module that downloads. */
export const PULL_WORKER = new URL("../../pulls/worker.ts", import.meta.url);

/** The program's own files; the parts of a worker are read with the permissions of who starts it. */
const PROGRAM = new URL("../../../", import.meta.url);

/** What the worker may do; in everything else it has no permission. */
export interface WorkerPermissions {
  readonly read: string[];
  readonly write: string[];
  readonly net: string[];
  readonly sys: string[];
  readonly env: false;
  readonly ffi: false;
  readonly run: false;
}

/** Permissions of the worker: the store, the hub's hosts and the token file. `inferd pull` needs the same. */
export function workerPermissions(
  root: string,
  { endpoint = HF_ENDPOINT, tokenPath }: HuggingFaceOptions,
): WorkerPermissions {
  const target = linkTarget(root)?.target;
  const roots = [root, ...target === undefined ? [] : [target]];
  return {
    read: [...roots, ...tokenPath === undefined ? [] : [tokenPath]],
    write: roots,
    net: pullHosts(endpoint),
    // Free disk space.
    sys: ["statfs"],
    env: false,
    ffi: false,
    run: false,
  };
}

/** Permissions of the bridge until the worker runs. */
export function pullNeeds({ read, write, net, sys }: WorkerPermissions): Need[] {
  return [
    ...needs("read", [...read, PROGRAM.protocol === "file:" ? fromFileUrl(PROGRAM) : undefined], true),
    ...needs("write", write, true),
    ...needs("net", net, true),
    // Memory limits the quantisation that is chosen.
    ...needs("sys", [...sys, "systemMemoryInfo"], true),
    ...needs("env", HUGGING_FACE_VARIABLES, true),
  ];
}

/** Give them up. An unrestricted grant (`-A`, `--allow-write`) cannot be narrowed and stays. */
export function dropPullNeeds(given: WorkerPermissions): void {
  for (const need of pullNeeds(given)) {
    if (!isGranted({ name: need.name })) Deno.permissions.revokeSync(descriptor(need));
  }
}
