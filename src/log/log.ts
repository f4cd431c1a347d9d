/**
 * The activity log: NDJSON records with rotation, and what the operator sees on stderr.
 * Rooms that log take the `ActivityLog` interface, so that tests can record. The only room that meets `@std/log`.
 */
import { bold, dim, red, yellow } from "@std/fmt/colors";
import { BaseHandler, type LevelName, Logger, type LogRecord } from "@std/log";
import { CallerRate } from "./caller_rate.ts";
import { redactedJson } from "./redact.ts";
import { RotatingFile } from "./rotating_file.ts";
import { LOG_FILE } from "./log_file.ts";
import { spellControls } from "./controls.ts";

/** How much is logged. */
export type LogLevel = "debug" | "info" | "warn" | "error";

const MOST_LOG_BYTES = 16 * 1024 * 1024;
/** A record that would be longer, in UTF-16 units, loses its fields. */
const MOST_LINE_LENGTH = 256 * 1024;
/** The least telling first. */
const LEVELS: readonly LevelName[] = ["DEBUG", "INFO", "WARN", "ERROR"];
/** Who speaks of the daemon's own life: the operator sees these from `info`, all others from `error`. */
const LIFECYCLE_COMPONENTS: ReadonlySet<string> = new Set(["daemon", "engine", "http"]);

/** Failures that the command line tells the operator in a line of its own. */
const TOLD_BY_COMMAND: ReadonlySet<string> = new Set(["start_failed", "failed"]);

/** Fields of a record in addition to its message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A log for one component. */
export interface ActivityLog {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** The same log, speaking for another component. */
  for(component: string): ActivityLog;
  /**
   * The same log for what a caller causes at will, whether it is served or not: beyond a rate its records are counted
   * instead, errors aside, and `records_dropped` says how many.
   */
  limited(caller: string): ActivityLog;
}

/** Where the log goes. */
export interface ActivityLogOptions {
  /** Made if it is not there. */
  readonly dir: string;
  readonly level: LogLevel;
  /** Also tell the operator on stderr. */
  readonly stderr?: boolean;
  /** Called when the file cannot be written any more; stderr has been informed by then. */
  readonly onStopped?: (reason: string) => void;
  /** Called when it can be written again; stderr has been informed by then. */
  readonly onResumed?: () => void;
  /** Rotate before the file exceeds this many bytes. */
  readonly mostBytes?: number;
  /** How long nothing is tried after the file could not be written, in milliseconds. */
  readonly retryMs?: number;
}

/** The activity log that was opened. */
export interface OpenLog extends ActivityLog, AsyncDisposable {
  /** Log as much from now on, whichever component speaks. */
  setLevel(level: LogLevel): void;
}

/**
 * Open the activity log, speaking for the component `daemon`.
 *
 * @param options Where it goes.
 * @returns The log; disposing it writes what is still in memory.
 */
export function openActivityLog(options: ActivityLogOptions): OpenLog {
  const file = new RotatingFile({
    dir: options.dir,
    name: LOG_FILE,
    mostBytes: options.mostBytes ?? MOST_LOG_BYTES,
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
  if (options.stderr) handlers.push(new OperatorHandler());
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

/** What all components share. */
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
  /** Whose rate counts; absent: none. */
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
    // Before the rate: what is not logged anyway counts for nothing.
    if (LEVELS.indexOf(level) < LEVELS.indexOf(this.#parts.level)) return false;
    if (this.#caller === undefined) return true;
    return this.#parts.rate.take(this.#caller);
  }
}

/** Records for machines, on disk. */
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
    // What went wrong is wanted most when the process does not live on.
    if (record.levelName === "ERROR") void this.#file.flush();
  }

  override log(line: string): void {
    this.#file.write(line);
  }
}

/** Lines for a person, on stderr. */
class OperatorHandler extends BaseHandler {
  constructor() {
    super("DEBUG", { formatter: toText });
  }

  override handle(record: LogRecord): void {
    if (TOLD_BY_COMMAND.has(record.msg)) return;
    if (LIFECYCLE_COMPONENTS.has(record.loggerName) || record.levelName === "ERROR") super.handle(record);
  }

  override log(line: string): void {
    print(line + "\n");
  }
}

/** Who says it, and when. */
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
    // What a record is stays, whatever its fields are called.
    const line = redactedJson({ ...head, ...fields, ...head });
    if (line.length <= MOST_LINE_LENGTH) return line;
    unloggable = `${line.length} characters`;
  } catch (error) {
    // A cycle, say: a bug of the caller's that must not cost more than the fields.
    unloggable = error instanceof Error ? error.message : "";
  }
  return redactedJson({ ...head, unloggable });
}

function toText(record: LogRecord): string {
  const fields = Object.entries(redactedFields(record))
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  const colours = !Deno.noColor && Deno.stderr.isTerminal();
  const paint = (style: (text: string) => string, text: string): string => colours ? style(text) : text;
  const level = record.levelName.toLowerCase().padEnd(5);
  const time = record.datetime.toISOString().slice(11, 19);
  const levelStyle = record.levelName === "ERROR" ? red : record.levelName === "WARN" ? yellow : dim;
  return [paint(dim, time), paint(levelStyle, level), paint(bold, toLine(record.msg)), toLine(fields)].join(" ")
    .trimEnd();
}

function redactedFields(record: LogRecord): LogFields {
  try {
    return JSON.parse(redactedJson(fieldsOf(record)));
  } catch (error) {
    return { unloggable: error instanceof Error ? error.message : "" };
  }
}

/** One line in which nothing moves a terminal's cursor, changes its colours or turns its writing round. */
function toLine(text: string): string {
  return spellControls(text).replaceAll("\n", "\\n").replaceAll("\t", "\\u0009");
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
