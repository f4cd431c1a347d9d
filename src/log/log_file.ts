/** Name of the current log file; rotated ones are numbered. */
export const LOG_FILE = "inferd.ndjson";
