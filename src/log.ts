/**
 * The activity log: NDJSON records with rotation, and what the operator sees on stderr.
 * Rooms that log take the `ActivityLog` interface, so that tests can record.
 */

/** What a record carries beside its message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A log for one component. */
export interface ActivityLog {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** The same log, speaking for another component. */
  for(component: string): ActivityLog;
}
