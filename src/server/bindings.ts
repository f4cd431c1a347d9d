/**
 * Which sockets are bound: each exactly while a backend can answer on it. Owns the order in which servers are bound and
 * unbound; does not know what they serve or which backend answers.
 */

/** A server whose sockets can be bound and unbound. */
export interface Bindable {
  bind(): Promise<void>;
  unbind(): void;
}

/** One server, and when its sockets have to be bound. */
export interface Binding {
  readonly server: Bindable;
  /** Whether a backend can answer on it now. */
  serves(): boolean;
  /** Whether a backend serves it that cannot answer now: until one can, the sockets are not complete. */
  awaited(): boolean;
}

export interface BindingsOptions {
  /** The sockets have become complete, so that clients can connect, or are no longer complete. */
  readonly onChange: (complete: boolean) => void;
  /** A socket cannot be bound. Returns whether to retry later. */
  readonly onFailure: (error: unknown) => boolean;
  /** Default: {@linkcode RETRY_MS}; for tests. */
  readonly retryMs?: number;
}

/** Delay before a failed bind is retried, in milliseconds. */
const RETRY_MS = 2000;

/** Binds and unbinds the sockets as backends come and go. */
export class Bindings {
  readonly #bindings: readonly Binding[];
  readonly #options: BindingsOptions;
  readonly #bound = new Set<Binding>();
  #complete = false;
  #isFollowing = false;
  #following: Promise<void> = Promise.resolve();
  #stopped = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(bindings: readonly Binding[], options: BindingsOptions) {
    this.#bindings = bindings;
    this.#options = options;
  }

  /** Whether every socket that a backend serves is bound, and there is at least one. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Call whenever the available backends may have changed. */
  follow(): void {
    if (this.#stopped || this.#isFollowing) return;
    this.#isFollowing = true;
    this.#following = this.#follow();
  }

  /** Resolves when the sockets match the last call of `follow`. */
  settled(): Promise<void> {
    return this.#following;
  }

  /** Stop following; resolves when no bind is in progress. The sockets stay as they are. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#following;
  }

  async #follow(): Promise<void> {
    clearTimeout(this.#retry);
    const failed = new Set<Binding>();
    try {
      for (let wrong = this.#wrong(failed); wrong !== undefined && !this.#stopped; wrong = this.#wrong(failed)) {
        if (this.#bound.has(wrong)) {
          this.#bound.delete(wrong);
          wrong.server.unbind();
          this.#tell();
        } else if (await this.#bind(wrong)) {
          this.#bound.add(wrong);
        } else {
          failed.add(wrong);
        }
      }
      if (!this.#stopped) this.#tell();
    } finally {
      // Set at once, so that a change right after this one is not followed.
      this.#isFollowing = false;
    }
  }

  async #bind({ server }: Binding): Promise<boolean> {
    try {
      await server.bind();
      return true;
    } catch (error) {
      const { onFailure, retryMs = RETRY_MS } = this.#options;
      clearTimeout(this.#retry);
      if (onFailure(error) && !this.#stopped) this.#retry = setTimeout(() => this.follow(), retryMs);
      return false;
    }
  }

  /** A server that is bound and should not be, or the reverse, unless binding it failed. Unbinding comes first. */
  #wrong(failed: ReadonlySet<Binding>): Binding | undefined {
    return this.#bindings.find((binding) => this.#bound.has(binding) && !binding.serves()) ??
      this.#bindings.find((one) => !this.#bound.has(one) && !failed.has(one) && one.serves());
  }

  #tell(): void {
    const complete = this.#bound.size > 0 &&
      this.#bindings.every((one) => this.#bound.has(one) || !(one.awaited() || one.serves()));
    if (complete === this.#complete) return;
    this.#complete = complete;
    this.#options.onChange(complete);
  }
}
