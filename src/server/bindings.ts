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
  /** A socket cannot stand where it should. */
  readonly onFailure: (error: unknown) => void;
}

/** Makes the sockets follow what can be served. */
export class Bindings {
  readonly #bindings: readonly Binding[];
  readonly #options: BindingsOptions;
  readonly #bound = new Set<Binding>();
  #complete = false;
  #isFollowing = false;
  #following: Promise<void> = Promise.resolve();
  #stopped = false;

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
    await this.#following;
  }

  async #follow(): Promise<void> {
    try {
      for (let wrong = this.#wrong(); wrong !== undefined && !this.#stopped; wrong = this.#wrong()) {
        if (this.#bound.has(wrong)) {
          this.#bound.delete(wrong);
          wrong.server.unbind();
          this.#tell();
        } else {
          await wrong.server.bind();
          this.#bound.add(wrong);
        }
      }
      if (!this.#stopped) this.#tell();
    } catch (error) {
      this.#options.onFailure(error);
    } finally {
      // At once: a change right after this one must find nobody following.
      this.#isFollowing = false;
    }
  }

  /** One that stands and should not, or does not and should. Those that go, go first. */
  #wrong(): Binding | undefined {
    return this.#bindings.find((binding) => this.#bound.has(binding) && !binding.serves()) ??
      this.#bindings.find((binding) => !this.#bound.has(binding) && binding.serves());
  }

  #tell(): void {
    const complete = this.#bound.size > 0 &&
      this.#bindings.every((binding) => this.#bound.has(binding) || !binding.awaited());
    if (complete === this.#complete) return;
    this.#complete = complete;
    this.#options.onChange(complete);
  }
}
