/**
 * The activity log: NDJSON records with rotation, and what the operator sees on stderr.
 * Rooms that log take the `ActivityLog` interface, so that tests can record. The only room that meets `@std/log`.
 */
import { bold, dim, red, yellow } from "@std/fmt/colors";
import { BaseHandler, type LevelName, Logger, type LogRecord } from "@std/log";
import type { LogLevel } from "./config/options.ts";
import { redactedJson, redactText } from "./redact.ts";
import { RotatingFile } from "./rotating_file.ts";

const LOG_FILE = "inferd.ndjson";
const MOST_LOG_BYTES = 16 * 1024 * 1024;
/** Who speaks of the daemon's own life: the operator sees these from `info`, all others from `error`. */
const LIFECYCLE_COMPONENTS: ReadonlySet<string> = new Set(["daemon", "engine"]);

/** Failures that the command line tells the operator in a line of its own. */
const TOLD_BY_COMMAND: ReadonlySet<string> = new Set(["start_failed", "failed"]);

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

/** Where the log goes. */
export interface ActivityLogOptions {
  /** Made if it is not there. */
  readonly dir: string;
  readonly level: LogLevel;
  /** Also tell the operator on stderr. */
  readonly stderr?: boolean;
  /** Called once, if the file cannot be written any more; stderr has been told by then. */
  readonly onStopped?: (reason: string) => void;
  /** Rotate before the file has so many bytes. */
  readonly mostBytes?: number;
}

/**
 * Open the activity log, speaking for the component `daemon`.
 *
 * @param options Where it goes.
 * @returns The log; disposing it writes what is still in memory.
 */
export function openActivityLog(options: ActivityLogOptions): ActivityLog & AsyncDisposable {
  const file = new RotatingFile({
    dir: options.dir,
    name: LOG_FILE,
    mostBytes: options.mostBytes ?? MOST_LOG_BYTES,
    onStopped: (reason) => {
      print(`inferd: the activity log has stopped: ${reason}\n`);
      options.onStopped?.(reason);
    },
  });
  const level = options.level.toUpperCase() as LevelName;
  const handlers: BaseHandler[] = [new FileHandler(level, file)];
  if (options.stderr) handlers.push(new OperatorHandler(level));
  const log = new ComponentLog("daemon", level, handlers);
  return Object.assign(log, {
    [Symbol.asyncDispose]: () => {
      file[Symbol.dispose]();
      return Promise.resolve();
    },
  });
}

class ComponentLog implements ActivityLog {
  readonly #level: LevelName;
  readonly #handlers: BaseHandler[];
  readonly #logger: Logger;

  constructor(component: string, level: LevelName, handlers: BaseHandler[]) {
    this.#level = level;
    this.#handlers = handlers;
    this.#logger = new Logger(component, level, { handlers });
  }

  debug(msg: string, fields?: LogFields): void {
    this.#logger.debug(msg, fields);
  }

  info(msg: string, fields?: LogFields): void {
    this.#logger.info(msg, fields);
  }

  warn(msg: string, fields?: LogFields): void {
    this.#logger.warn(msg, fields);
  }

  error(msg: string, fields?: LogFields): void {
    this.#logger.error(msg, fields);
  }

  for(component: string): ActivityLog {
    return new ComponentLog(component, this.#level, this.#handlers);
  }
}

/** Records for machines, on disk. */
class FileHandler extends BaseHandler {
  readonly #file: RotatingFile;

  constructor(level: LevelName, file: RotatingFile) {
    super(level, { formatter: toJson });
    this.#file = file;
  }

  override handle(record: LogRecord): void {
    super.handle(record);
    // What went wrong is wanted most when the process does not live on.
    if (record.levelName === "ERROR") this.#file.flush();
  }

  override log(line: string): void {
    this.#file.write(line);
  }
}

/** Lines for a person, on stderr. */
class OperatorHandler extends BaseHandler {
  constructor(level: LevelName) {
    super(level, { formatter: toText });
  }

  override handle(record: LogRecord): void {
    if (TOLD_BY_COMMAND.has(record.msg)) return;
    if (LIFECYCLE_COMPONENTS.has(record.loggerName) || record.levelName === "ERROR") super.handle(record);
  }

  override log(line: string): void {
    print(line + "\n");
  }
}

function toJson(record: LogRecord): string {
  const head = {
    t: record.datetime.toISOString(),
    level: record.levelName.toLowerCase(),
    component: record.loggerName,
    msg: record.msg,
  };
  try {
    return redactedJson({ ...head, ...fieldsOf(record) });
  } catch (error) {
    // A cycle or a bigint: a bug of the caller's that must not cost more than the fields.
    return redactedJson({ ...head, unloggable: String(error) });
  }
}

function toText(record: LogRecord): string {
  const fields = Object.entries(fieldsOf(record))
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  const colours = !Deno.noColor && Deno.stderr.isTerminal();
  const paint = (style: (text: string) => string, text: string): string => colours ? style(text) : text;
  const level = record.levelName.toLowerCase().padEnd(5);
  const time = record.datetime.toISOString().slice(11, 19);
  const levelStyle = record.levelName === "ERROR" ? red : record.levelName === "WARN" ? yellow : dim;
  const parts = [paint(dim, time), paint(levelStyle, level), paint(bold, record.msg), redactText(fields)];
  return parts.join(" ").replaceAll("\n", "\\n").trimEnd();
}

function fieldsOf(record: LogRecord): LogFields {
  return (record.args[0] ?? {}) as LogFields;
}

function print(text: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  } catch {
    // Nobody reads stderr any more; there is no other place to say it.
  }
}
