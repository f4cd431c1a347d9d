/** The name of the log that is being written; full ones are numbered. */
export const LOG_FILE = "inferd.ndjson";
