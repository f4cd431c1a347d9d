/**
 * The activity log: NDJSON records with rotation, and a readable copy on stderr for the operator. Other rooms take the
 * `ActivityLog` interface, so that tests can record. The only user of `@std/log`.
 */
import { BaseHandler, type LevelName, Logger, type LogRecord } from "@std/log";
import { CallerRate } from "./caller_rate.ts";
import { redactedJson } from "./redact.ts";
import { RotatingFile } from "./rotating_file.ts";
import { LOG_FILE } from "./log_file.ts";
import { toLine, toText } from "./text.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

const MOST_LOG_BYTES = 16 * 1024 * 1024;
/** Longer records, in UTF-16 units, lose their fields. */
const MOST_LINE_LENGTH = 256 * 1024;
/** In ascending order of severity. */
const LEVELS: readonly LevelName[] = ["DEBUG", "INFO", "WARN", "ERROR"];
/** Components that report the daemon's own life cycle: shown to the operator from `info`, all others from `error`. */
const LIFECYCLE_COMPONENTS: ReadonlySet<string> = new Set(["daemon", "engine", "http"]);

/** Events that the command line reports to the operator in a line of its own. */
const TOLD_BY_COMMAND: ReadonlySet<string> = new Set(["start_failed", "failed", "ready"]);
/** Long lists and hashes, for the log file only. */
const FILE_ONLY: ReadonlySet<string> = new Set(["permissions_left", "config_identified"]);
/** Shown as a progress bar on a terminal. */
const SHOWN_AS_BAR: ReadonlySet<string> = new Set(["download"]);

/** Fields of a record in addition to its message. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface ActivityLog {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** The same log for another component. */
  for(component: string): ActivityLog;
  /**
   * The same log with a rate limit, for records that a caller can cause at will. Excess records other than
   * errors are dropped, and their number is reported as `records_dropped`.
   */
  limited(caller: string): ActivityLog;
}

export interface ActivityLogOptions {
  /** Created if it does not exist. */
  readonly dir: string;
  readonly level: LogLevel;
  /** Also write to stderr for the operator. */
  readonly stderr?: boolean;
  /** stderr is a terminal that shows download progress; called before each line, so that it makes room. */
  readonly beforeLine?: (() => void) | undefined;
  /** Called when writing starts to fail, after stderr has been informed. */
  readonly onStopped?: (reason: string) => void;
  /** Called when writing works again, after stderr has been informed. */
  readonly onResumed?: () => void;
  /** Back-off after a failed write, in milliseconds. */
  readonly retryMs?: number;
}

export interface OpenLog extends ActivityLog, AsyncDisposable {
  setLevel(level: LogLevel): void;
}

/** Open the log, for the component `daemon`; disposal flushes it. */
export function openActivityLog(options: ActivityLogOptions): OpenLog {
  const file = new RotatingFile({
    dir: options.dir,
    name: LOG_FILE,
    mostBytes: MOST_LOG_BYTES,
    ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
    onStopped: (reason) => {
      print(`inferd: the activity log has stopped: ${toLine(reason)}\n`);
      options.onStopped?.(reason);
    },
    onResumed: (lost) => {
      print(`inferd: the activity log has resumed; ${lost} records were lost\n`);
      options.onResumed?.();
    },
    gapLine: ({ lost, stopped }) =>
      toJson({ time: new Date(), level: "WARN", component: "log" }, {
        msg: stopped ? "log_resumed" : "log_records_lost",
        fields: { lost },
      }),
  });
  const level = options.level.toUpperCase() as LevelName;
  const handlers: BaseHandler[] = [new FileHandler(file)];
  if (options.stderr) handlers.push(new OperatorHandler(options.beforeLine));
  const rate: CallerRate = new CallerRate({
    onDropped: (caller, records) => log.for("log").warn("records_dropped", { caller, records }),
  });
  const parts: LogParts = { handlers, rate, level };
  const log = new ComponentLog("daemon", parts);
  return Object.assign(log, {
    setLevel: (next: LogLevel) => {
      parts.level = next.toUpperCase() as LevelName;
    },
    [Symbol.asyncDispose]: async () => {
      rate[Symbol.dispose]();
      await file[Symbol.asyncDispose]();
    },
  });
}

interface LogParts {
  readonly handlers: BaseHandler[];
  readonly rate: CallerRate;
  /** May change at any time. */
  level: LevelName;
}

class ComponentLog implements ActivityLog {
  readonly #component: string;
  readonly #parts: LogParts;
  readonly #logger: Logger;
  /** Caller whose rate limit applies, if any. */
  readonly #caller: string | undefined;

  constructor(component: string, parts: LogParts, caller?: string) {
    this.#component = component;
    this.#parts = parts;
    this.#logger = new Logger(component, "DEBUG", { handlers: parts.handlers });
    this.#caller = caller;
  }

  debug(msg: string, fields?: LogFields): void {
    if (this.#mayLog("DEBUG")) this.#logger.debug(msg, fields);
  }

  info(msg: string, fields?: LogFields): void {
    if (this.#mayLog("INFO")) this.#logger.info(msg, fields);
  }

  warn(msg: string, fields?: LogFields): void {
    if (this.#mayLog("WARN")) this.#logger.warn(msg, fields);
  }

  error(msg: string, fields?: LogFields): void {
    this.#logger.error(msg, fields);
  }

  for(component: string): ActivityLog {
    return new ComponentLog(component, this.#parts, this.#caller);
  }

  limited(caller: string): ActivityLog {
    return new ComponentLog(this.#component, this.#parts, caller);
  }

  #mayLog(level: LevelName): boolean {
    // Check the level first: records that are not logged anyway do not count.
    if (LEVELS.indexOf(level) < LEVELS.indexOf(this.#parts.level)) return false;
    if (this.#caller === undefined) return true;
    return this.#parts.rate.take(this.#caller);
  }
}

class FileHandler extends BaseHandler {
  readonly #file: RotatingFile;

  constructor(file: RotatingFile) {
    super("DEBUG", {
      formatter: (record) =>
        toJson({ time: record.datetime, level: record.levelName, component: record.loggerName }, {
          msg: record.msg,
          fields: fieldsOf(record),
        }),
    });
    this.#file = file;
  }

  override handle(record: LogRecord): void {
    super.handle(record);
    // Errors are flushed at once, since the process may be about to end.
    if (record.levelName === "ERROR") void this.#file.flush();
  }

  override log(line: string): void {
    this.#file.write(line);
  }
}

class OperatorHandler extends BaseHandler {
  readonly #beforeLine: (() => void) | undefined;

  constructor(beforeLine: (() => void) | undefined) {
    super("DEBUG", { formatter: operatorLine });
    this.#beforeLine = beforeLine;
  }

  override handle(record: LogRecord): void {
    if (TOLD_BY_COMMAND.has(record.msg) || FILE_ONLY.has(record.msg)) return;
    if (this.#beforeLine !== undefined && SHOWN_AS_BAR.has(record.msg)) return;
    if (LIFECYCLE_COMPONENTS.has(record.loggerName) || record.levelName === "ERROR") super.handle(record);
  }

  override log(line: string): void {
    this.#beforeLine?.();
    print(line + "\n");
  }
}

interface Head {
  readonly time: Date;
  readonly level: string;
  readonly component: string;
}

function toJson(
  { time, level, component }: Head,
  { msg, fields }: { readonly msg: string; readonly fields: LogFields },
): string {
  const head = { t: time.toISOString(), level: level.toLowerCase(), component, msg };
  let unloggable: string;
  try {
    // Fields cannot override the record's own.
    const line = redactedJson({ ...head, ...fields, ...head });
    if (line.length <= MOST_LINE_LENGTH) return line;
    unloggable = `${line.length} characters`;
  } catch (error) {
    // A cyclic value, for example: a bug of the caller that must not cost more than the fields.
    unloggable = error instanceof Error ? error.message : "";
  }
  return redactedJson({ ...head, unloggable });
}

/** The line for the operator. */
function operatorLine(record: LogRecord): string {
  return toText({
    time: record.datetime.toISOString().slice(11, 19),
    level: record.levelName.toLowerCase(),
    msg: record.msg,
    fields: redactedFields(record),
  }, !Deno.noColor && Deno.stderr.isTerminal());
}

function redactedFields(record: LogRecord): LogFields {
  try {
    return JSON.parse(redactedJson(fieldsOf(record)));
  } catch (error) {
    return { unloggable: error instanceof Error ? error.message : "" };
  }
}

function fieldsOf(record: LogRecord): LogFields {
  return (record.args[0] ?? {}) as LogFields;
}

function print(text: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  } catch {
    // stderr is closed; there is no other place to report it.
  }
}
