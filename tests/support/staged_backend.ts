/** A backend whose life the test directs: when it is ready, when it dies, when it comes back. */
import type { BackendCapabilities, BackendNotice } from "../../src/inference/backend.ts";
import { ControlledBackend } from "./controlled_backend.ts";

/** Starts, dies and comes back when the test says so; requests are the test's, too. */
export class StagedBackend extends ControlledBackend {
  /** What happened to it from outside. */
  disposed = 0;
  /** Thrown on disposal. */
  disposalError: Error | undefined;
  readonly #started = Promise.withResolvers<void>();
  readonly #ready = Promise.withResolvers<void>();
  #notify: (notice: BackendNotice) => void = () => {};

  constructor(name = "staged", capabilities?: BackendCapabilities) {
    super(name, capabilities);
    this.state = "loading";
  }

  /** Resolves when the daemon has called `start`. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  override async start(notify?: (notice: BackendNotice) => void, signal?: AbortSignal): Promise<void> {
    this.#notify = notify ?? this.#notify;
    this.#started.resolve();
    signal?.addEventListener("abort", () => this.#ready.reject(signal.reason));
    await this.#ready.promise;
  }

  /** Say something. */
  tell(notice: BackendNotice): void {
    this.#notify(notice);
  }

  /** Ready, for the first time or again. */
  becomeReady(): void {
    this.state = "ready";
    this.tell({ type: "ready", capabilities: this.capabilities });
    this.#ready.resolve();
  }

  /** Loading fails for good. */
  failToStart(error: Error): void {
    this.#ready.reject(error);
  }

  /** Die, and be on the way back. */
  die(): void {
    this.state = "restarting";
    this.tell({ type: "restarting", reason: "The engine died", phase: { phase: "checking_local", path: "/m" } });
  }

  /** Give up. */
  goDown(): void {
    this.state = "down";
    this.tell({ type: "down", reason: "The engine died too often" });
  }

  override [Symbol.asyncDispose](): Promise<void> {
    this.disposed++;
    this.state = "stopped";
    return this.disposalError === undefined ? Promise.resolve() : Promise.reject(this.disposalError);
  }
}
