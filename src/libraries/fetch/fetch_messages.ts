/** The messages between the daemon and the process that fetches packages: NDJSON, one message a line. */
import type { LoadPhase } from "@inferd/client/protocol";
import type { WantedPackage } from "./download.ts";

/** Daemon → process. Its first and only line; the end of stdin ends the process. */
export interface FetchOrder {
  readonly packages: readonly WantedPackage[];
  readonly cacheDir: string;
  /** Before anything else: make sure that the registry of this package answers. */
  readonly probe?: string;
}

/** Process → daemon. */
export type FetchReport =
  | { readonly type: "phase"; readonly phase: LoadPhase }
  /** Another process fetches the same. */
  | { readonly type: "waits"; readonly package: string }
  /** A try failed, and another one follows. */
  | { readonly type: "retried"; readonly package: string; readonly reason: string; readonly delayMs: number }
  /** Everything is in the cache. The process ends after it. */
  | { readonly type: "done" }
  /** The message is for the operator. The process ends after it. */
  | { readonly type: "failed"; readonly message: string };
