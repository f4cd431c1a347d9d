/**
 * What becomes of a backend whose engine dies: it is started again, later after each death, until it has died too often;
 * where the model's files are at fault, slowly and without end. How one is launched is the backend's.
 */
import { delay } from "@std/async";
import { BACKOFF_MS, type Deaths, SLOW_BACKOFF_MS } from "./deaths.ts";
import { deathMessage, type Engine, exitFields } from "../engine.ts";
import { isModelFault } from "../model_files.ts";
import type { LlamaOptions } from "../options.ts";
import { isShortage } from "./shortage.ts";

/** What this needs of a backend. */
export interface RevivalOptions extends Pick<LlamaOptions, "backoffMs" | "slowBackoffMs"> {
  readonly name: string;
  readonly deaths: Deaths;
  /** The backend is stopped. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Start an engine, within its time. */
  readonly launch: () => Promise<Engine>;
  /** An engine has ended, whatever for. */
  readonly onExit: () => void;
  /** It died, and another is about to be started. */
  readonly onDeath: () => void;
  /** One is started. */
  readonly onRestart: (reason: string) => void;
  /** None is, or not soon. */
  readonly onDown: (reason: string) => void;
  readonly log: (level: "info" | "warn" | "error", msg: string, fields: Record<string, unknown>) => void;
}

/** Watches over the engines of one backend. */
export class Revival {
  readonly #options: RevivalOptions;

  constructor(options: RevivalOptions) {
    this.#options = options;
  }

  /** Wait for deaths and mend them, until the backend is stopped or down. */
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

  /** After a death: try until one lives, or give up. */
  async #restart(reason: string, fields: Record<string, unknown>): Promise<Engine | undefined> {
    const signal = this.#options.signal;
    const died = this.#options.now();
    this.#options.onDeath();
    let deaths = this.#options.deaths.count();
    let isFault = false;
    this.#options.log("error", "engine_exited", { ...fields, reason, deaths });
    for (let attempt = 1; !signal.aborted; attempt++) {
      if (this.#options.deaths.tooMany) {
        // No engine died of it, and it can be mended.
        if (isFault) return await this.#restartSlowly(reason, died);
        this.#options.onDown(`${reason}; it died ${deaths} times and is not started again`);
        return undefined;
      }
      this.#options.onRestart(reason);
      const { first, most } = this.#options.backoffMs ?? BACKOFF_MS;
      try {
        await delay(Math.min(first * 2 ** (Math.max(deaths, attempt) - 1), most), { signal });
        return await this.#revive(died, attempt);
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
        if (signal.aborted) break;
        // The machine is out of something, and no engine has died of it.
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

  /** The model's files are not what they should be: the backend is down until they are. */
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
        reason = error instanceof Error ? error.message : String(error);
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
