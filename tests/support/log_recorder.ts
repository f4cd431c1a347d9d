/** An activity log that remembers, and that can be waited on. */
import type { ActivityLog, LogFields } from "../../src/log/log.ts";

/** One record. */
export interface LogRecord {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly component: string;
  readonly msg: string;
  readonly fields: LogFields;
}

interface Waiter {
  readonly msg: string;
  readonly resolve: (record: LogRecord) => void;
}

/** Records everything that is logged, whatever the component. */
export class LogRecorder implements ActivityLog {
  readonly records: LogRecord[];
  readonly #component: string;
  readonly #waiters: Set<Waiter>;
  /** Records that `next` has handed out. */
  readonly #seen: Set<LogRecord>;

  constructor(parent?: LogRecorder, component = "test") {
    this.#component = component;
    this.records = parent?.records ?? [];
    this.#waiters = parent === undefined ? new Set() : parent.#waiters;
    this.#seen = parent === undefined ? new Set() : parent.#seen;
  }

  debug(msg: string, fields: LogFields = {}): void {
    this.#record({ level: "debug", component: this.#component, msg, fields });
  }

  info(msg: string, fields: LogFields = {}): void {
    this.#record({ level: "info", component: this.#component, msg, fields });
  }

  warn(msg: string, fields: LogFields = {}): void {
    this.#record({ level: "warn", component: this.#component, msg, fields });
  }

  error(msg: string, fields: LogFields = {}): void {
    this.#record({ level: "error", component: this.#component, msg, fields });
  }

  for(component: string): LogRecorder {
    return new LogRecorder(this, component);
  }

  /** No caller of a test's is too noisy. */
  limited(): LogRecorder {
    return this;
  }

  /** The records of one event. */
  of(msg: string): LogRecord[] {
    return this.records.filter((record) => record.msg === msg);
  }

  /** The next record of one event that `next` has not handed out: one that is there, or the one that comes. */
  next(msg: string): Promise<LogRecord> {
    const there = this.records.find((record) => record.msg === msg && !this.#seen.has(record));
    if (there !== undefined) {
      this.#seen.add(there);
      return Promise.resolve(there);
    }
    return new Promise((resolve) => this.#waiters.add({ msg, resolve }));
  }

  #record(record: LogRecord): void {
    this.records.push(record);
    for (const waiter of this.#waiters) {
      if (waiter.msg !== record.msg) continue;
      this.#waiters.delete(waiter);
      this.#seen.add(record);
      waiter.resolve(record);
      return;
    }
  }
}
