/**
 * What the compiler makes of `@std/*`, also where stand-ins of our own hold their place (`links/`): type equalities that
 * hold with the real packages (`deno task std`) as with the stand-ins, or this file does not compile. Never run.
 */
import {
  assert,
  assertFalse,
  assertInstanceOf,
  type assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { abortable, delay } from "@std/async";
import { parseArgs } from "@std/cli/parse-args";
import { BaseHandler, type LevelName, type Logger, type LogRecord } from "@std/log";
import { toText } from "@std/streams/to-text";
import type { FakeTime, TimeError } from "@std/testing/time";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Takes `true` types only. */
function holds<_Fact extends true>(): void {}

export function literalFlags(args: readonly string[]): void {
  const flags = parseArgs(args, {
    boolean: ["quick", "peer", "json", "help"],
    string: ["only", "rounds", "endpoint"],
    collect: ["only"],
    negatable: ["peer"],
    default: { peer: true, endpoint: "chat", depth: 3 },
    alias: { help: "h" },
    "--": true,
    unknown: () => false,
  });
  holds<Same<typeof flags._, (string | number)[]>>();
  holds<Same<typeof flags["--"], string[]>>();
  holds<Same<typeof flags.quick, boolean>>();
  holds<Same<typeof flags.peer, boolean>>();
  holds<Same<typeof flags.help, boolean>>();
  holds<Same<typeof flags.h, boolean>>();
  holds<Same<typeof flags.only, string[]>>();
  holds<Same<typeof flags.rounds, string | undefined>>();
  holds<Same<typeof flags.endpoint, string>>();
  holds<Same<typeof flags.depth, unknown>>();
  holds<Same<typeof flags.typo, unknown>>();
  // @ts-expect-error It is no text.
  flags.quick.length;
}

export function namesKnownAtRunTime(args: readonly string[], names: readonly string[]): void {
  const flags = parseArgs(args, { boolean: names, string: ["_", ...names], collect: names, alias: { help: "h" } });
  const named = flags[names[0] ?? ""];
  holds<Same<typeof named, (string[] & boolean[]) | undefined>>();
  holds<Same<typeof flags._, (string | number)[]>>();
}

export function assertions(value: unknown, maybe: "a" | "" | 0 | 0n | null, size: number): void {
  assertFalse(maybe);
  holds<Same<typeof maybe, "" | 0 | 0n | null>>();
  assertStrictEquals(value, size);
  holds<Same<typeof value, number>>();
  const caught: unknown = value;
  assert(typeof caught === "object");
  assertInstanceOf(caught, RangeError);
  holds<Same<typeof caught, RangeError>>();
  holds<Same<ReturnType<typeof assertThrows<RangeError>>, RangeError>>();
  holds<Same<ReturnType<typeof assertRejects<RangeError>>, Promise<RangeError>>>();
  // @ts-expect-error Its first type parameter is an error's.
  assertThrows<string>(() => {}, String);
}

export function waits(signal: AbortSignal, pieces: AsyncIterable<string>): void {
  // deno-lint-ignore tests/no-timers -- only its type is looked at
  const promised = abortable(delay(1, { signal }), signal);
  holds<Same<typeof promised, Promise<void>>>();
  const iterated = abortable(pieces, signal);
  holds<Same<typeof iterated, AsyncGenerator<string>>>();
  // @ts-expect-error Not what is no text.
  void toText(new ReadableStream<number>());
}

export class Handler extends BaseHandler {
  override handle(record: LogRecord): void {
    holds<Same<typeof record.args, unknown[]>>();
    holds<Same<typeof record.datetime, Date>>();
    super.handle(record);
  }
  override log(): void {}
}

export function logs(logger: Logger, handler: Handler): void {
  holds<Same<LevelName, "NOTSET" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "CRITICAL">>();
  holds<Same<typeof handler.levelName, LevelName>>();
  const said = logger.info("a text", { fields: 1 });
  holds<Same<typeof said, "a text">>();
}

export function clocks(time: FakeTime): void {
  const [ticked, next] = [time.tickAsync(1), time.next()];
  holds<Same<typeof ticked, Promise<void>>>();
  holds<Same<typeof next, boolean>>();
  holds<Same<ConstructorParameters<typeof TimeError>, [message: string]>>();
  // @ts-expect-error It is the moment of its making.
  time.start = 3;
}
