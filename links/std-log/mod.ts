/**
 * The subset of `@std/log` 0.224 that `src/log.ts` uses, with its names and behaviour. Stands in only where JSR cannot
 * be reached.
 */
export const LogLevels = { NOTSET: 0, DEBUG: 10, INFO: 20, WARN: 30, ERROR: 40, CRITICAL: 50 } as const;
export type LevelName = keyof typeof LogLevels;
export type LogLevel = typeof LogLevels[LevelName];

export interface LogRecordOptions {
  msg: string;
  args: unknown[];
  level: LogLevel;
  loggerName: string;
}

export class LogRecord {
  readonly msg: string;
  readonly #args: unknown[];
  readonly #datetime: Date;
  readonly level: number;
  readonly levelName: string;
  readonly loggerName: string;
  constructor(options: LogRecordOptions) {
    this.msg = options.msg;
    this.#args = [...options.args];
    this.level = options.level;
    this.loggerName = options.loggerName;
    this.#datetime = new Date();
    this.levelName = getLevelName(options.level);
  }
  get args(): unknown[] {
    return [...this.#args];
  }
  get datetime(): Date {
    return new Date(this.#datetime.getTime());
  }
}

export function getLevelByName(name: LevelName): LogLevel {
  return LogLevels[name];
}

export function getLevelName(level: LogLevel): LevelName {
  const found = (Object.keys(LogLevels) as LevelName[]).find((name) => LogLevels[name] === level);
  if (found === undefined) throw new Error(`Cannot get log level: no level name found for ${level}`);
  return found;
}

export type FormatterFunction = (logRecord: LogRecord) => string;
export interface BaseHandlerOptions {
  formatter?: FormatterFunction;
}

export abstract class BaseHandler {
  readonly #levelName: LevelName;
  readonly level: LogLevel;
  formatter: FormatterFunction;
  constructor(levelName: LevelName, options?: BaseHandlerOptions) {
    this.#levelName = levelName;
    this.level = getLevelByName(levelName);
    this.formatter = options?.formatter ?? ((record) => `${record.levelName} ${record.msg}`);
  }
  get levelName(): LevelName {
    return this.#levelName;
  }
  handle(logRecord: LogRecord): void {
    if (this.level > logRecord.level) return;
    this.log(this.format(logRecord));
  }
  format(logRecord: LogRecord): string {
    return this.formatter(logRecord);
  }
  abstract log(msg: string): void;
  setup(): void {}
  destroy(): void {}
}

export interface LoggerOptions {
  handlers?: BaseHandler[];
}

export class Logger {
  readonly #loggerName: string;
  #level: LogLevel;
  handlers: BaseHandler[];
  constructor(loggerName: string, levelName: LevelName, options: LoggerOptions = {}) {
    this.#loggerName = loggerName;
    this.#level = getLevelByName(levelName);
    this.handlers = options.handlers ?? [];
  }
  get loggerName(): string {
    return this.#loggerName;
  }
  get level(): LogLevel {
    return this.#level;
  }
  #log(level: LogLevel, msg: string, args: unknown[]): string {
    if (this.#level > level) return msg;
    const record = new LogRecord({ msg, args, level, loggerName: this.#loggerName });
    for (const handler of this.handlers) handler.handle(record);
    return msg;
  }
  debug(msg: string, ...args: unknown[]): string {
    return this.#log(LogLevels.DEBUG, msg, args);
  }
  info(msg: string, ...args: unknown[]): string {
    return this.#log(LogLevels.INFO, msg, args);
  }
  warn(msg: string, ...args: unknown[]): string {
    return this.#log(LogLevels.WARN, msg, args);
  }
  error(msg: string, ...args: unknown[]): string {
    return this.#log(LogLevels.ERROR, msg, args);
  }
}
