/**
 * One request from its resolved form to its terminal frame: permit, backend, frames, outcome, record. Every surface
 * goes through here. Owns none of the parts it calls, and never logs what was asked or answered.
 */
import type { Backend, Service } from "../inference/backend.ts";
import type { ActivityLog, LogFields } from "../log/log.ts";
import type { Admission } from "./admission.ts";
import type { Outcome } from "./breaker.ts";
import { blamesBackend, ClientGoneError, type ErrorCode, errorFrame, toWireError } from "./errors.ts";
import type { ResolvedRequest, Terminal } from "./resolve.ts";
import type { Router } from "./router.ts";

/** Whoever asked. */
export interface Caller {
  /** Fires when the answer must end; the reason is a `ClientGoneError` where nobody is left to read a frame. */
  readonly signal: AbortSignal;
  /** The same for all requests of one program: they share its place in the queue. */
  readonly name: string;
  /**
   * Take a frame.
   *
   * @returns A promise to wait for before the next frame, where too much is unsent.
   */
  send(frame: string): Promise<void> | undefined;
}

/** Errors whose text may repeat what the caller wrote, which no log may hold. */
const REPEATING: ReadonlySet<ErrorCode> = new Set(["invalid_request", "attachment_unsupported"]);

/** How much of a caller's id the log repeats, in UTF-16 units. */
const LOGGED_ID_LENGTH = 128;

/** What a pipeline is made of. */
export interface PipelineOptions {
  /** What its requests ask of a backend. */
  readonly service: Service;
  /** May be another pipeline's too: they share the places then. */
  readonly admission: Admission;
  readonly router: Router;
  readonly log: ActivityLog;
}

/** Serves resolved requests of one kind. */
export class Pipeline {
  readonly #service: Service;
  readonly #admission: Admission;
  readonly #router: Router;
  readonly #log: ActivityLog;

  constructor(options: PipelineOptions) {
    this.#service = options.service;
    this.#admission = options.admission;
    this.#router = options.router;
    this.#log = options.log.for("pipeline");
  }

  /** Serve one request: exactly one terminal frame, unless nobody is left to read it. Never rejects. */
  async handle(request: ResolvedRequest, caller: Caller): Promise<void> {
    const times = new Times();
    let backend: string | undefined;
    try {
      using _permit = request.isShort ? undefined : await this.#admission.acquire(caller.signal, caller.name);
      times.admitted();
      const route = this.#router.dispatch(this.#service, request.model);
      backend = route.backend.name;
      this.#log.info("request_accepted", { id: loggedId(request.id), backend });
      let outcome: Outcome = "success";
      try {
        const terminal = await this.#stream(request, caller, { backend: route.backend, times });
        caller.send(terminal.frame);
        this.#log.info("request_done", {
          id: loggedId(request.id),
          backend,
          tokens_in: terminal.usage.promptTokens,
          tokens_out: terminal.usage.completionTokens,
          cached_tokens: terminal.usage.cachedTokens,
          ...times.fields(),
          stop_reason: terminal.stopReason,
        });
      } catch (error) {
        outcome = caller.signal.aborted || !blamesBackend(error) ? "neutral" : "failure";
        throw error;
      } finally {
        route.report(outcome);
      }
    } catch (error) {
      const fields = { ...(backend === undefined ? {} : { backend }), ...times.fields() };
      if (caller.signal.aborted) this.#cancelled(request.id, caller, fields);
      else this.reject(request.id, caller, { error, fields });
    }
  }

  /**
   * Answer with an error frame instead of serving.
   *
   * @param id What to echo.
   * @param refusal `error`: why; `fields`: what else the record says.
   */
  reject(id: string, caller: Caller, refusal: { readonly error: unknown; readonly fields?: LogFields }): void {
    const wire = toWireError(refusal.error);
    caller.send(errorFrame(id, wire));
    const fields = { id: loggedId(id), code: wire.code, ...refusal.fields };
    if (REPEATING.has(wire.code)) this.#log.info("request_error", fields);
    else if (wire.code === "internal") this.#log.error("request_error", { ...fields, cause: causeOf(refusal.error) });
    else this.#log.warn("request_error", { ...fields, message: wire.message });
  }

  async #stream(
    request: ResolvedRequest,
    caller: Caller,
    route: { readonly backend: Backend; readonly times: Times },
  ): Promise<Terminal> {
    for await (const step of request.answer(route.backend, caller.signal, route.times.queuedMs)) {
      route.times.stepped();
      if (typeof step !== "string") return step;
      const room = step === "" ? undefined : caller.send(step);
      if (room !== undefined) await room;
      caller.signal.throwIfAborted();
    }
    throw new Error(`Backend "${route.backend.name}" ended an answer without its last event`);
  }

  #cancelled(id: string, caller: Caller, fields: LogFields): void {
    const reason: unknown = caller.signal.reason;
    if (!(reason instanceof ClientGoneError)) caller.send(errorFrame(id, toWireError(reason)));
    this.#log.info("request_cancelled", { id: loggedId(id), ...fields, reason: toText(reason) });
  }
}

/** When what happened to one request, for its record. */
class Times {
  readonly #start = performance.now();
  #admittedAt: number | undefined;
  #firstAt: number | undefined;

  admitted(): void {
    this.#admittedAt = performance.now();
  }

  /** How long the request has waited for its place. */
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

function toText(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : String(error);
}
