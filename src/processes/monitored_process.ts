/** A process started by the monitor that connects to the daemon's private socket. */
import { turn } from "../inference/turn.ts";
import type { Child, MonitorLink } from "./monitor_link.ts";
import { errorText } from "../log/error_text.ts";
import type { Awaited as Expected, Met, PrivateSocket } from "./private_socket.ts";
import {
  exitWithin,
  type JsonProcess,
  NoMeetingError,
  type ProcessExit,
  type ProcessKind,
  type ProcessListener,
  readMessages,
  toPieces,
} from "./process.ts";

/** The monitor link and the socket the process connects to. */
export interface Meeting {
  readonly link: MonitorLink;
  readonly socket: PrivateSocket;
}

export class MonitoredProcess<In, Out> implements JsonProcess<Out> {
  readonly exited: Promise<ProcessExit>;
  #pid: number | undefined;
  #child: Child | undefined;
  #conn: Deno.UnixConn | undefined;
  /** Messages not sent yet. */
  #unsent: Iterable<Uint8Array<ArrayBuffer>>[] = [];
  #isSending = false;
  #isClosing = false;
  #killedFor: string | undefined;

  constructor(kind: ProcessKind, listener: ProcessListener<In>, meeting: Meeting) {
    this.exited = this.#live(kind, listener, meeting).catch((error): ProcessExit => ({
      code: 1,
      signal: null,
      killedFor: this.#killedFor,
      notStarted: error instanceof Error ? error : new Error(String(error)),
    }));
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  send(message: Out): void {
    if (this.#isClosing) return;
    this.#unsent.push(toPieces(message));
    void this.#sendAll();
  }

  kill(reason: string): void {
    this.#killedFor ??= reason;
    this.#child?.kill();
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    void this.#sendAll();
    await exitWithin(this, graceMs);
  }

  async #live(kind: ProcessKind, listener: ProcessListener<In>, { link, socket }: Meeting): Promise<ProcessExit> {
    const number = link.nextNumber();
    const pid = Promise.withResolvers<number>();
    using awaited = kind === "chat_formats" ? undefined : await expectOn(socket, number, pid.promise);
    if (this.#killedFor !== undefined) return { code: 1, signal: null, killedFor: this.#killedFor };
    const child = link.start(kind, number, (line) => listener.onStderr(line));
    this.#child = child;
    child.started.then((value) => {
      this.#pid = value;
      pid.resolve(value);
    });
    const gone = child.exited.then(() => undefined);
    const met = await Promise.race([awaited?.met ?? gone, gone]);
    awaited?.[Symbol.dispose]();
    if (met !== undefined) await this.#talk(met, listener);
    // It exited while it was being identified.
    else awaited?.met.then((late) => late[Symbol.dispose]());
    return { ...await child.exited, killedFor: this.#killedFor };
  }

  async #talk(met: Met, listener: ProcessListener<In>): Promise<void> {
    using _ = met;
    const { conn } = met;
    let first: Uint8Array<ArrayBuffer> | undefined = met.first;
    this.#conn = conn;
    void this.#sendAll();
    try {
      await readMessages<In>(async (buffer) => {
        const early = first;
        first = undefined;
        if (early !== undefined && early.length > 0) return early;
        const count = await conn.read(buffer);
        return count === null ? undefined : buffer.subarray(0, count);
      }, (message) => listener.onMessage(message));
    } catch {
      // The invalid line is not quoted: it may be part of an answer.
      this.kill("It said something that is no message");
    }
    this.#conn = undefined;
    // A process that closed its connection but still runs is useless. Killing one that is exiting has no effect.
    this.#child?.kill();
  }

  /** One write at a time; the remainder of a short write goes first. */
  async #sendAll(): Promise<void> {
    const conn = this.#conn;
    if (conn === undefined || this.#isSending) return;
    this.#isSending = true;
    try {
      for (let line = this.#unsent.shift(); line !== undefined; line = this.#unsent.shift()) {
        let isFirst = true;
        for (let bytes of line) {
          if (!isFirst) await turn();
          isFirst = false;
          while (bytes.length > 0) bytes = bytes.subarray(await conn.write(bytes));
        }
      }
      if (this.#isClosing) await conn.closeWrite();
    } catch {
      // A broken pipe means the process died, which `exited` reports.
      this.#unsent = [];
    } finally {
      this.#isSending = false;
    }
  }
}

/** @throws {NoMeetingError} If it could not connect. */
async function expectOn(socket: PrivateSocket, number: number, pid: Promise<number>): Promise<Expected> {
  try {
    return await socket.expect(number, pid);
  } catch (error) {
    throw new NoMeetingError(errorText(error), { cause: error });
  }
}
