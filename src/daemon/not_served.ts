/** Why a daemon ends that serves nothing. */
import type { BackendStatus } from "@inferd/client/protocol";
import { takesRequests } from "../inference/backend.ts";
import type { Member } from "./member.ts";

/** Every backend has been down for long. */
export class AllDownError extends Error {
  override readonly name = "AllDownError";
}

/** Not every backend was ready in time. */
export class ReadyTimeoutError extends Error {
  override readonly name = "ReadyTimeoutError";
}

/** Those that are still waited for. */
export function timeoutError(members: readonly Member[], secs: number): ReadyTimeoutError {
  const late = members.flatMap(({ backend: { name, state } }) => takesRequests(state) ? [] : [`"${name}"`]).join(", ");
  return new ReadyTimeoutError(
    `Not ready within ${secs} s, still waiting for backend ${late}; --ready-timeout SECONDS gives it more time`,
  );
}

/** How long nothing can be served before a daemon ends that is to end then, in milliseconds. */
const DOWN_LIMIT_MS = 5 * 60_000;

/** Where every backend is down, and a service manager would start the daemon again: ends it, after a while. */
export class DownLimit implements Disposable {
  readonly #onFailure: (error: unknown) => void;
  readonly #limitMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param options `limitMs`: how long they may be; absent: as long as usual. */
  constructor({ onFailure, limitMs = DOWN_LIMIT_MS }: {
    readonly onFailure: (error: unknown) => void;
    readonly limitMs: number | undefined;
  }) {
    this.#onFailure = onFailure;
    this.#limitMs = limitMs;
  }

  /** The backends are in other states. */
  look(states: readonly BackendStatus[]): void {
    if (this.#timer !== undefined || !states.every((state) => state === "down")) return;
    this.#timer = setTimeout(() => {
      this.#onFailure(new AllDownError(`Every backend has been down for ${this.#limitMs / 1000} s (--exit-when-down)`));
    }, this.#limitMs);
  }

  /** One answers again. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
