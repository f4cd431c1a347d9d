/**
 * One request from its resolved form to its terminal frame: permit, backend, frames, outcome, record. Every surface
 * goes through here. Owns the only asynchronous loop of a request; owns none of the parts it calls, and never logs what
 * was asked or answered.
 */
import type { Service } from "../inference/backend.ts";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog, LogFields } from "../log/log.ts";
import type { Admission, Permit } from "./admission.ts";
import type { Outcome } from "./breaker.ts";
import {
  blamesBackend,
  ClientGoneError,
  type ErrorCode,
  errorFrame,
  RequestFailedError,
  toWireError,
  type WireError,
} from "./errors.ts";
import { LiveRequests } from "./live_requests.ts";
import { PausedTime } from "./paused_time.ts";
import type { Answer, LastFrame, ResolvedRequest, Terminal } from "./resolve.ts";
import type { Router } from "./router.ts";
import { turn } from "../inference/turn.ts";
import { defined } from "../inference/objects.ts";

export interface Caller {
  /** Fires when the answer must end; the reason is a `ClientGoneError` when nobody is left to read a frame. */
  readonly signal: AbortSignal;
  /** The same for all requests of one program, which share its turn in the queue. */
  readonly name: string;
  /**
   * Take a frame.
   *
   * @returns A promise to wait for before the next frame, where too much is unsent.
   */
  send(frame: string): Promise<void> | undefined;
  /** Cut a caller that keeps a slot without reading; fires `signal`. Absent: it always reads. */
  drop?(why: string): void;
}

/** A caller within the daemon that wants no frames. */
export type Asker = Omit<Caller, "send" | "drop">;

/** Errors whose text may repeat the caller's words, which must not be logged. */
const REPEATING: ReadonlySet<ErrorCode> = new Set(["invalid_request", "attachment_unsupported"]);

/** Maximum length of a caller's id in the log, in UTF-16 units. */
const LOGGED_ID_LENGTH = 128;

/**
 * Pauses after a piece of work for one request, in milliseconds.
 *
 * @returns Undefined: there is no need to pause.
 */
export type Rest = (workMs: number) => Promise<void> | undefined;

export interface PipelineOptions {
  /** The service its requests need. */
  readonly service: Service;
  /** The queue for a backend; `undefined`: none can take a request now. Backends and pipelines may share one. */
  readonly admission: (backend: string | undefined) => Admission;
  readonly router: Router;
  readonly log: ActivityLog;
  /** The requests of all pipelines; absent: they are not tracked. */
  readonly live?: LiveRequests;
  /** Pauses after a part of a long answer was rendered, where others run; absent: nobody does. */
  readonly rest?: Rest;
}

/** Serves resolved requests of one kind. */
export class Pipeline {
  readonly #service: Service;
  readonly #admission: (backend: string | undefined) => Admission;
  readonly #router: Router;
  readonly #log: ActivityLog;
  readonly #live: LiveRequests;
  readonly #rest: Rest | undefined;

  constructor(options: PipelineOptions) {
    this.#service = options.service;
    this.#admission = options.admission;
    this.#router = options.router;
    this.#log = options.log.for("pipeline");
    this.#live = options.live ?? new LiveRequests();
    this.#rest = options.rest;
  }

  /**
   * Serve one request: exactly one terminal frame, unless nobody is left to read it. Never rejects.
   *
   * @returns Whether it was answered without an error.
   */
  async handle(request: ResolvedRequest, caller: Caller): Promise<boolean> {
    const end = await this.#run(request, caller);
    if (end === undefined) return false;
    caller.send("error" in end ? errorFrame(request.id, end.error) : toLine(end.frame));
    return !("error" in end);
  }

  /**
   * Serve one request for a caller within the daemon that wants only its last frame.
   *
   * @throws {RequestFailedError} If it fails.
   * @throws The signal's reason, if nobody is left to answer.
   */
  async ask<R>(request: ResolvedRequest<R>, asker: Asker): Promise<R> {
    const end = await this.#run(request, { ...asker, send: () => undefined });
    if (end === undefined) throw asker.signal.reason;
    if ("error" in end) throw new RequestFailedError(end.error);
    return end.frame;
  }

  /** Answer with an error frame instead of serving. */
  reject(id: string, caller: Caller, error: unknown): void {
    caller.send(errorFrame(id, this.#failed(id, error, { caller: caller.name })));
  }

  /** @returns The last frame, still to be sent; undefined if nobody is left to read it. */
  async #run<R>(request: ResolvedRequest<R>, asker: Caller): Promise<End<R> | undefined> {
    const times = new Times();
    using live = this.#live.begin({ id: request.id, service: this.#service, signal: asker.signal });
    const caller: Caller = { ...asker, signal: live.signal };
    let backend: string | undefined;
    try {
      using place = new Place(request.isShort ? undefined : await this.#admit(request.model, caller));
      times.admitted();
      const route = this.#router.dispatch(this.#service, request.model);
      backend = route.backend.name;
      live.running(backend);
      this.#log.info("request_accepted", { id: loggedId(request.id), backend });
      let outcome: Outcome = "success";
      try {
        const answer = request.answer(route.backend, caller.signal, times.queuedMs);
        const isInPieces = "events" in answer;
        const { frame, stopReason, usage } = await drive(answer, caller, {
          ...defined({ rest: this.#rest }),
          onEvent: () => {
            times.stepped();
            if (isInPieces) live.stepped();
          },
          paused: new PausedTime({
            isCrowded: () => !request.isShort && this.#admissionNow(request.model).status().waiting > 0,
            leave: () => place.leave(),
            comeBack: () => place.comeBack(() => this.#admit(request.model, caller, true)),
            onExhausted: () => caller.drop?.("The client reads too slowly"),
          }),
        });
        live.done(usage);
        this.#log.info("request_done", {
          id: loggedId(request.id),
          backend,
          tokens_in: usage.promptTokens,
          tokens_out: usage.completionTokens,
          cached_tokens: usage.cachedTokens,
          ...defined({ forced_tokens: usage.forcedTokens, prepared_tokens: usage.preparedTokens }),
          ...defined({ drafted_tokens: usage.draftedTokens, accepted_tokens: usage.acceptedTokens }),
          ...times.fields(),
          stop_reason: stopReason,
        });
        return { frame };
      } catch (error) {
        outcome = caller.signal.aborted || !blamesBackend(error) ? "neutral" : "failure";
        throw error;
      } finally {
        route.report(outcome);
      }
    } catch (error) {
      const fields = { ...(backend === undefined ? {} : { backend }), ...times.fields() };
      if (!caller.signal.aborted) return { error: this.#failed(request.id, error, { caller: caller.name, fields }) };
      const reason: unknown = caller.signal.reason;
      this.#log.info("request_cancelled", { id: loggedId(request.id), ...fields, reason: errorText(reason) });
      return reason instanceof ClientGoneError ? undefined : { error: toWireError(reason) };
    }
  }

  /** A permit for the request's backend; another one if the request has moved to another backend in the meantime. */
  async #admit(model: string | undefined, caller: Caller, isBack = false): Promise<Permit> {
    for (let admission = this.#admissionNow(model);;) {
      const permit = await admission.acquire(caller.signal, caller.name, isBack);
      const now = this.#admissionNow(model);
      if (now === admission) return permit;
      permit[Symbol.dispose]();
      admission = now;
    }
  }

  #admissionNow(model: string | undefined): Admission {
    return this.#admission(this.#router.candidate(this.#service, model));
  }

  #failed(
    id: string,
    error: unknown,
    about: { readonly caller: string; readonly fields?: LogFields },
  ): WireError {
    const wire = toWireError(error);
    const fields = { id: loggedId(id), code: wire.code, ...about.fields };
    const log = this.#log.limited(about.caller);
    if (REPEATING.has(wire.code)) log.info("request_error", fields);
    else if (wire.code === "internal") log.error("request_error", { ...fields, cause: causeOf(error) });
    else log.warn("request_error", { ...fields, message: wire.message });
    return wire;
  }
}

/** The slot of a request, which it may give up for a while. */
class Place implements Disposable {
  #permit: Permit | undefined;
  readonly #isNeeded: boolean;

  constructor(permit: Permit | undefined) {
    this.#permit = permit;
    this.#isNeeded = permit !== undefined;
  }

  leave(): void {
    this.#permit?.[Symbol.dispose]();
    this.#permit = undefined;
  }

  async comeBack(admit: () => Promise<Permit>): Promise<void> {
    if (this.#isNeeded && this.#permit === undefined) this.#permit = await admit();
  }

  [Symbol.dispose](): void {
    this.leave();
  }
}

type End<R> = { readonly frame: R } | { readonly error: WireError };

/**
 * The loop of a request: renders the backend's events and sends them as fast as the caller reads.
 *
 * @param options `onEvent`: called for everything the backend says. `paused`: adds up how long the caller is waited
 * for; absent: nobody does. `rest`: pauses between the parts of a long answer.
 * @throws What the backend throws, or the signal's reason.
 */
export async function drive<R>(
  answer: Answer<R>,
  caller: Pick<Caller, "signal" | "send">,
  { onEvent, paused, rest }: { onEvent?(): void; readonly paused?: PausedTime; readonly rest?: Rest } = {},
): Promise<Terminal<R>> {
  if ("answer" in answer) {
    const whole = await answer.answer;
    for (;;) {
      const from = performance.now();
      const end = answer.render(whole);
      onEvent?.();
      if (end !== undefined) return end;
      await (rest?.(performance.now() - from) ?? turn());
      caller.signal.throwIfAborted();
    }
  }
  for await (const event of answer.events) {
    // Progress is no token.
    if (event.type !== "progress") onEvent?.();
    const frame = answer.render(event);
    if (typeof frame === "object") return frame;
    const room = frame === undefined ? undefined : caller.send(frame);
    if (room !== undefined) await (paused?.wait(room, frame?.length ?? 0) ?? room);
    else paused?.sent(frame?.length ?? 0);
    caller.signal.throwIfAborted();
  }
  throw new Error("The backend ended an answer without its last event");
}

export function toLine(frame: LastFrame): string {
  return typeof frame === "string" ? frame : `${JSON.stringify(frame)}\n`;
}

/** The times of one request, for its log record. */
class Times {
  readonly #start = performance.now();
  #admittedAt: number | undefined;
  #firstAt: number | undefined;

  admitted(): void {
    this.#admittedAt = performance.now();
  }

  /** How long the request has waited for its slot. */
  get queuedMs(): number {
    return this.#since(this.#admittedAt ?? performance.now());
  }

  stepped(): void {
    this.#firstAt ??= performance.now();
  }

  fields(): LogFields {
    const now = performance.now();
    return {
      queue_ms: this.#since(this.#admittedAt ?? now),
      ...(this.#firstAt === undefined ? {} : { first_token_ms: this.#since(this.#firstAt) }),
      total_ms: this.#since(now),
    };
  }

  #since(at: number): number {
    return Math.round((at - this.#start) * 1000) / 1000;
  }
}

function loggedId(id: string): string {
  return id.length > LOGGED_ID_LENGTH ? `${id.slice(0, LOGGED_ID_LENGTH)}…` : id;
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : String(error);
}
