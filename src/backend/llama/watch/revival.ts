/**
 * Restarts a backend's engine after it dies, with exponential back-off, until it has died too often; if the model files
 * are at fault, retries slowly without limit. Launching belongs to the backend.
 */
import { delay } from "@std/async";
import { BACKOFF_MS, type Deaths, SLOW_BACKOFF_MS } from "./deaths.ts";
import { deathMessage, type Engine, exitFields } from "../engine.ts";
import { isModelFault } from "../model_files.ts";
import type { LlamaOptions } from "../options.ts";
import { isShortage } from "./shortage.ts";
import { errorText } from "../../../log/error_text.ts";

export interface RevivalOptions extends Pick<LlamaOptions, "backoffMs" | "slowBackoffMs"> {
  readonly name: string;
  readonly deaths: Deaths;
  /** Fires when the backend is stopped. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Launches an engine, within its load time limit. */
  readonly launch: () => Promise<Engine>;
  /** An engine exited, for whatever reason. */
  readonly onExit: () => void;
  /** An engine died and a restart is pending. */
  readonly onDeath: () => void;
  /** A restart begins. */
  readonly onRestart: (reason: string) => void;
  /** No restart will happen, or not soon. */
  readonly onDown: (reason: string) => void;
  readonly log: (level: "info" | "warn" | "error", msg: string, fields: Record<string, unknown>) => void;
}

/** Supervises the engines of one backend. */
export class Revival {
  readonly #options: RevivalOptions;

  constructor(options: RevivalOptions) {
    this.#options = options;
  }

  /** Restart the engine after each death, until the backend is stopped or down. */
  async supervise(first: Engine): Promise<void> {
    const signal = this.#options.signal;
    for (let engine = first;;) {
      const exit = await engine.process.exited;
      this.#options.onExit();
      if (signal.aborted) return;
      const next = await this.#restart(deathMessage(this.#options.name, engine, exit), exitFields(engine, exit));
      if (next === undefined) return;
      engine = next;
    }
  }

  /** Retry after a death until an engine is ready or the limit is reached. */
  async #restart(reason: string, fields: Record<string, unknown>): Promise<Engine | undefined> {
    const signal = this.#options.signal;
    const died = this.#options.now();
    this.#options.onDeath();
    let deaths = this.#options.deaths.count();
    let isFault = false;
    this.#options.log("error", "engine_exited", { ...fields, reason, deaths });
    for (let attempt = 1; !signal.aborted; attempt++) {
      if (this.#options.deaths.tooMany) {
        // No engine died of it, and the files can be repaired.
        if (isFault) return await this.#restartSlowly(reason, died);
        this.#options.onDown(`${reason}; it died ${deaths} times and will not be restarted`);
        return undefined;
      }
      this.#options.onRestart(reason);
      const { first, most } = this.#options.backoffMs ?? BACKOFF_MS;
      try {
        await delay(Math.min(first * 2 ** (Math.max(deaths, attempt) - 1), most), { signal });
        return await this.#revive(died, attempt);
      } catch (error) {
        reason = errorText(error);
        if (signal.aborted) break;
        // The machine ran out of a resource; no engine died of it.
        if (isShortage(error)) {
          this.#options.log("warn", "engine_not_started", { reason, attempt });
          continue;
        }
        deaths = this.#options.deaths.count();
        isFault = isModelFault(error);
        this.#options.log("error", "engine_exited", { reason, deaths });
      }
    }
    return undefined;
  }

  /** The model files are missing or wrong; the backend is down until they are repaired. */
  async #restartSlowly(reason: string, died: number): Promise<Engine | undefined> {
    const signal = this.#options.signal;
    const { first, most } = this.#options.slowBackoffMs ?? SLOW_BACKOFF_MS;
    for (let attempt = 1; !signal.aborted; attempt++) {
      const waitMs = Math.min(first * 2 ** (attempt - 1), most);
      this.#options.onDown(`${reason}; it is tried again in ${waitMs / 1000} s`);
      try {
        await delay(waitMs, { signal });
        return await this.#revive(died, attempt);
      } catch (error) {
        reason = errorText(error);
      }
    }
    return undefined;
  }

  async #revive(died: number, attempt: number): Promise<Engine> {
    const engine = await this.#options.launch();
    const after_ms = Math.round(this.#options.now() - died);
    this.#options.log("info", "engine_restarted", { pid: engine.process.pid, attempt, after_ms });
    return engine;
  }
}
