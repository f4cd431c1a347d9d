/**
 * One budget for the bytes of requests that are unfinished or being served, over all connections of the daemon. Owns
 * who is refused and who has to wait when it is spent; how bytes are read is not known here.
 */
import { LEAST_MEMORY_BUDGET_MIB } from "../config/defaults.ts";

/** Bytes every connection may hold outside the budget: small requests are read even when it is exhausted. */
export const FREE_BYTES = 64 * 1024;

/** Copies of a served request: its line, its values, and the message to the engine. */
const SERVED_COPIES = 3;

/** With so many bytes held, what they leave behind is worth collecting. */
const MUCH_BYTES = 64 * 1024 * 1024;

/** Its share of the process's memory limit. */
const SHARE = 1 / 4;

/** The default budget: lines become strings on the heap, and a process whose heap is full is killed. */
export function defaultBudgetBytes(heapBytes: number): number {
  return Math.max(LEAST_MEMORY_BUDGET_MIB * 1024 * 1024, Math.floor(heapBytes * SHARE));
}

/** The budget, configured or derived from the maximum size of the heap. */
export function budgetBytes(
  { memoryBudgetMib }: { readonly memoryBudgetMib?: number },
  heapBytes: number,
): number {
  return memoryBudgetMib === undefined ? defaultBudgetBytes(heapBytes) : memoryBudgetMib * 1024 * 1024;
}

export interface Account extends Disposable {
  /**
   * Report the bytes held now.
   *
   * @param arriving Bytes of what is incomplete; they are given up when the account is refused.
   * @param served Bytes of what is complete, until it is answered.
   */
  hold(arriving: number, served: number): void;
  /** A promise to await before reading more; undefined if reading may continue. */
  room(): Promise<void> | undefined;
}

interface Entry {
  readonly caller: string;
  readonly refuse: () => void;
  arriving: number;
  served: number;
}

export class MemoryBudget {
  limitBytes: number;
  readonly #entries = new Set<Entry>();
  #held = 0;
  readonly #onGone: () => void;
  /** Whether much was held since nothing was. */
  #much = false;
  /** Resolved when there is room again. */
  #room: PromiseWithResolvers<void> | undefined;

  /** @param onGone Called when nothing is held any more, after it was much. */
  constructor(limitBytes: number, onGone: () => void = () => {}) {
    this.limitBytes = limitBytes;
    this.#onGone = onGone;
  }

  /** Counted bytes: those of connections beyond each one's free part. */
  get heldBytes(): number {
    return this.#held;
  }

  /**
   * Begin to count for a connection; to be disposed of when it ends.
   *
   * @param caller As `Caller.name`: the caller that holds the most is refused first.
   * @param refuse Called when what is arriving must be given up; nothing more may be read after it.
   */
  open(caller: string, refuse: () => void): Account {
    const entry: Entry = { caller, refuse, arriving: 0, served: 0 };
    this.#entries.add(entry);
    return {
      hold: (arriving, served) => this.#set(entry, arriving, served),
      room: () => this.#roomFor(entry),
      [Symbol.dispose]: () => {
        this.#set(entry, 0, 0);
        this.#entries.delete(entry);
      },
    };
  }

  #roomFor(entry: Entry): Promise<void> | undefined {
    if (this.#held < this.limitBytes || counted(entry) === 0) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  #set(entry: Entry, arriving: number, served: number): void {
    if (!this.#entries.has(entry)) return;
    this.#held -= counted(entry);
    entry.arriving = arriving;
    entry.served = served;
    this.#held += counted(entry);
    while (this.#held >= this.limitBytes) {
      const largest = this.#largest();
      if (largest === undefined) break;
      this.#held -= counted(largest);
      largest.arriving = 0;
      this.#held += counted(largest);
      largest.refuse();
    }
    this.#much ||= this.#held >= MUCH_BYTES;
    if (this.#much && this.#held === 0) {
      this.#much = false;
      this.#onGone();
    }
    if (this.#held >= this.limitBytes) return;
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** The connection with the most arriving bytes, of the caller that holds the most; none if nothing of it arrives. */
  #largest(): Entry | undefined {
    const callers = new Map<string, number>();
    for (const entry of this.#entries) callers.set(entry.caller, (callers.get(entry.caller) ?? 0) + counted(entry));
    const [caller] = [...callers].reduce((most, next) => next[1] > most[1] ? next : most);
    let largest: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.caller !== caller || entry.arriving === 0 || counted(entry) === 0) continue;
      if (largest === undefined || entry.arriving > largest.arriving) largest = entry;
    }
    return largest;
  }
}

function counted({ arriving, served }: Entry): number {
  return Math.max(0, arriving + served * SERVED_COPIES - FREE_BYTES);
}
