/** Defaults that depend on the situation; the help texts of the tables contain them. */

/** How long a TCP connection may stay idle, in seconds: devices on the way may have forgotten it. */
export const TCP_IDLE_SECS = 3600;

/** The smallest default memory budget, in MiB. */
export const LEAST_MEMORY_BUDGET_MIB = 256;

/** Seconds without a request after which a model loaded on demand is unloaded. */
export const IDLE_UNLOAD_SECS = 300;

/** Minutes for which all backends may be down. */
export const DOWN_LIMIT_MINUTES = 5;
