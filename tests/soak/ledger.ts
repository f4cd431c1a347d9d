/** What was asked and how it ended: every request ends exactly once, with its own answer, or was given up by its client. */

/** How a request ended: `done`, the code of its error, or `left` where the client closed the connection before. */
export type Ending = "done" | "left" | (string & Record<never, never>);

/** One run's books. */
export class Ledger {
  readonly #open = new Map<string, string>();
  readonly #ended = new Map<string, number>();
  readonly #faults: string[] = [];
  #next = 0;

  /** What went wrong so far; empty when the books are in order. */
  get faults(): readonly string[] {
    return [...this.#faults, ...[...this.#open].map(([id, kind]) => `${kind} ${id} never ended`)];
  }

  /** How often each ending of each kind occurred: `v1 done`, `embed queue_full`. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#ended].sort(([a], [b]) => a < b ? -1 : 1));
  }

  /** Every request so far. */
  get total(): number {
    return this.#next;
  }

  /** A request begins; its id is no other's. */
  begin(kind: string): string {
    const id = `${kind}-${++this.#next}`;
    this.#open.set(id, kind);
    return id;
  }

  /** A request ended. */
  end(id: string, ending: Ending): void {
    const kind = this.#open.get(id);
    if (kind === undefined) {
      this.fault(`${id} ended twice, the second time with ${ending}`);
      return;
    }
    this.#open.delete(id);
    const key = `${kind} ${ending}`;
    this.#ended.set(key, (this.#ended.get(key) ?? 0) + 1);
  }

  /** Something is wrong that no request's end says. */
  fault(text: string): void {
    this.#faults.push(text);
  }
}
