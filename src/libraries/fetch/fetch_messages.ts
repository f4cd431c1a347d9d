/** Messages between the daemon and the fetch process: NDJSON, one message per line. */
import type { LoadPhase } from "@inferd/client/protocol";
import type { WantedPackage } from "./download.ts";

/** Daemon → process. The only line; the process exits at the end of stdin. */
export interface FetchOrder {
  readonly packages: readonly WantedPackage[];
  readonly cacheDir: string;
  /** First check that this package's registry answers. */
  readonly probe?: string;
}

/** Process → daemon. */
export type FetchReport =
  | { readonly type: "phase"; readonly phase: LoadPhase }
  /** Another process downloads the same package. */
  | { readonly type: "waits"; readonly package: string }
  /** An attempt failed and is retried. */
  | { readonly type: "retried"; readonly package: string; readonly reason: string; readonly delayMs: number }
  /** Everything is in the cache. The process exits. */
  | { readonly type: "done" }
  /** The message is for the operator. The process exits. */
  | { readonly type: "failed"; readonly message: string };
