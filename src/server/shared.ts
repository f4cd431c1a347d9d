/** What the servers of one daemon share: counts over all connections, so that no connection can starve the others. */
import type { Pace } from "../ndjson/pace.ts";
import type { ConnectionLimit } from "./connection_limit.ts";
import type { RefusalRate } from "./refusal_rate.ts";
import { defaultBudgetBytes, MemoryBudget } from "./memory_budget.ts";

/** What is counted over all connections of a daemon. */
export interface Shared {
  /** Bytes of requests; absent: the least there may be, for this server alone. */
  readonly memory?: MemoryBudget;
  /** Open connections; absent: as many as there are descriptors. */
  readonly limit?: ConnectionLimit;
  /** How fast callers are refused; absent: counted for this server alone. */
  readonly refusals?: RefusalRate;
  /** How fast long lines are read; absent: as fast as they come. */
  readonly pace?: Pace;
}

/** For a server that shares with no other. */
export function unsharedMemory(): MemoryBudget {
  return new MemoryBudget(defaultBudgetBytes(0));
}
