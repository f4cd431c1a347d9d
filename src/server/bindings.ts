/**
 * Which sockets stand: each exactly while somebody can answer on it. Owns the order in which servers are bound and
 * unbound; what they serve, and who can answer, is not known here.
 */

/** A server whose sockets come and go. */
export interface Bindable {
  bind(): Promise<void>;
  unbind(): void;
}

/** One server, and when its sockets have to stand. */
export interface Binding {
  readonly server: Bindable;
  /** Whether somebody can answer on it now. */
  serves(): boolean;
  /** Whether somebody could who cannot now: as long as nobody does, the sockets are not complete. */
  awaited(): boolean;
}

/** What is told of the sockets as a whole. */
export interface BindingsOptions {
  /** The sockets have become complete: whoever hears it can connect. Or they are no longer. */
  readonly onChange: (complete: boolean) => void;
  /** A socket cannot stand where it should. Returns whether to try again after a while. */
  readonly onFailure: (error: unknown) => boolean;
  /** For tests; absent: {@linkcode RETRY_MS}. */
  readonly retryMs?: number;
}

/** When binding that failed is tried again, in milliseconds. */
const RETRY_MS = 2000;

/** Makes the sockets follow what can be served. */
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

  /** Whether all sockets stand that somebody could answer on, and there are some. */
  get complete(): boolean {
    return this.#complete;
  }

  /** To be called whenever what can be served may have changed. */
  follow(): void {
    if (this.#stopped || this.#isFollowing) return;
    this.#isFollowing = true;
    this.#following = this.#follow();
  }

  /** Resolves when the sockets are as the last call of `follow` wanted them. */
  settled(): Promise<void> {
    return this.#following;
  }

  /** Follow no more; resolves when nothing is being bound. The sockets are left as they are. */
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
      // At once: a change right after this one must find nobody following.
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

  /** One that stands and should not, or does not and should, unless it cannot. Those that go, go first. */
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
