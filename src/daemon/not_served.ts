/** Errors of a daemon that exits because it cannot serve. */
import type { BackendStatus } from "@inferd/client/protocol";
import { DOWN_LIMIT_MINUTES } from "../config/defaults.ts";
import { takesRequests } from "../inference/backend.ts";
import type { Member } from "./member.ts";

/** Every backend has been down for too long. */
export class AllDownError extends Error {
  override readonly name = "AllDownError";
}

export class ReadyTimeoutError extends Error {
  override readonly name = "ReadyTimeoutError";
}

/** Names the backends that are not ready. */
export function timeoutError(members: readonly Member[], secs: number): ReadyTimeoutError {
  const late = members.flatMap(({ backend: { name, state } }) => takesRequests(state) ? [] : [`"${name}"`]).join(", ");
  return new ReadyTimeoutError(
    `Not ready within ${secs} s, still waiting for backend ${late}; --ready-timeout SECONDS gives it more time`,
  );
}

/** Ends the daemon when every backend has been down for a while, so that a service manager restarts it. */
export class DownLimit implements Disposable {
  readonly #onFailure: (error: unknown) => void;
  readonly #limitMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param options `limitMs`: allowed time; default five minutes. */
  constructor({ onFailure, limitMs = DOWN_LIMIT_MINUTES * 60_000 }: {
    readonly onFailure: (error: unknown) => void;
    readonly limitMs: number | undefined;
  }) {
    this.#onFailure = onFailure;
    this.#limitMs = limitMs;
  }

  /** Checks the backends' states. */
  look(states: readonly BackendStatus[]): void {
    if (this.#timer !== undefined || !states.every((state) => state === "down")) return;
    this.#timer = setTimeout(() => {
      this.#onFailure(new AllDownError(`Every backend has been down for ${this.#limitMs / 1000} s (--exit-when-down)`));
    }, this.#limitMs);
  }

  /** A backend answers again. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
