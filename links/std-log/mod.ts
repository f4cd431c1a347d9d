/**
 * The subset of `@std/log` 0.224 that `src/log/log.ts` uses, with its names and behaviour. Stands in only where JSR cannot
 * be reached.
 */
const LEVELS = { NOTSET: 0, DEBUG: 10, INFO: 20, WARN: 30, ERROR: 40, CRITICAL: 50 } as const;
export type LevelName = keyof typeof LEVELS;
export type LogLevel = typeof LEVELS[LevelName];

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

function getLevelName(level: LogLevel): LevelName {
  const found = (Object.keys(LEVELS) as LevelName[]).find((name) => LEVELS[name] === level);
  if (found === undefined) throw new Error(`Cannot get log level: no name for level: ${level}`);
  return found;
}

export type FormatterFunction = (logRecord: LogRecord) => string;
export interface BaseHandlerOptions {
  formatter?: FormatterFunction;
}

export abstract class BaseHandler {
  #level: LogLevel;
  formatter: FormatterFunction;
  constructor(levelName: LevelName, options?: BaseHandlerOptions) {
    this.#level = LEVELS[levelName];
    this.formatter = options?.formatter ?? ((record) => `${record.levelName} ${record.msg}`);
  }
  get level(): LogLevel {
    return this.#level;
  }
  set level(level: LogLevel) {
    this.#level = level;
  }
  get levelName(): LevelName {
    return getLevelName(this.#level);
  }
  set levelName(levelName: LevelName) {
    this.#level = LEVELS[levelName];
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
  [Symbol.dispose](): void {
    this.destroy();
  }
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
    this.#level = LEVELS[levelName];
    this.handlers = options.handlers ?? [];
  }
  get loggerName(): string {
    return this.#loggerName;
  }
  get level(): LogLevel {
    return this.#level;
  }
  set level(level: LogLevel) {
    this.#level = level;
  }
  get levelName(): LevelName {
    return getLevelName(this.#level);
  }
  set levelName(levelName: LevelName) {
    this.#level = LEVELS[levelName];
  }
  debug<Text extends string>(msg: Text, ...args: unknown[]): Text {
    return this.#log(LEVELS.DEBUG, msg, args);
  }
  info<Text extends string>(msg: Text, ...args: unknown[]): Text {
    return this.#log(LEVELS.INFO, msg, args);
  }
  warn<Text extends string>(msg: Text, ...args: unknown[]): Text {
    return this.#log(LEVELS.WARN, msg, args);
  }
  error<Text extends string>(msg: Text, ...args: unknown[]): Text {
    return this.#log(LEVELS.ERROR, msg, args);
  }
  #log<Text extends string>(level: LogLevel, msg: Text, args: unknown[]): Text {
    if (this.#level > level) return msg;
    const record = new LogRecord({ msg, args, level, loggerName: this.#loggerName });
    for (const handler of this.handlers) handler.handle(record);
    return msg;
  }
}
