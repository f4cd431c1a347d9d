/**
 * The order in which the properties of an object may be written. The required ones of a single `required` list keep
 * their order, that of the schema or of the list; with several lists, and for optional and additional properties, any
 * order is allowed. Only offers properties from which the object can still be completed.
 */
import type { Clause } from "../keywords/demand.ts";
import type { Entry, ObjectShape, Option, Others } from "./shapes.ts";

/** State of an object. */
export interface ObjectState {
  /** Number of required properties so far. */
  readonly taken: number;
  /** A bit for each possible order of the required properties. */
  readonly orders: number;
  /** A bit for each property that is no longer allowed. */
  readonly used: bigint;
  /**
   * Distinct properties so far, capped where it no longer matters. Additional ones count once, because two might have
   * the same name.
   */
  readonly count: number;
  /** Number of properties so far, if there is a maximum. */
  readonly total: number;
  /** A bit for each required kind of property that is present. */
  readonly had: number;
  /** Whether an additional property is present. */
  readonly hasOthers: boolean;
  /** Whether no more are allowed: a required one is present, and another might replace it. */
  readonly isOver: boolean;
  /** Clauses that still have to hold. */
  readonly clauses: readonly Clause[];
}

/** A possible next property, and the state after it. */
export interface ObjectStep {
  readonly entry: Entry | undefined;
  readonly option: Option | Others;
  readonly next: ObjectState;
}

/** Ordering options. */
export interface ObjectOrder {
  /** Only described properties are generated, additional ones after all required ones. */
  readonly isClosed?: boolean;
  /** All properties are sorted by name. */
  readonly isSorted?: boolean;
}

/** Maximum states visited to decide whether an object can be completed. */
const MAX_SEARCH = 20_000;

/** The transitions of one object shape. */
export class ObjectPlan {
  readonly others: readonly Others[];
  readonly start: ObjectState;
  /** Whether all properties are independent. */
  readonly #isFree: boolean;
  readonly #shape: ObjectShape;
  readonly #isClosed: boolean;
  readonly #isSorted: boolean;
  readonly #entries: readonly Entry[];
  /** Indexes of the required ones. */
  readonly #required: readonly number[];
  /** Possible orders of the required ones; none: any order. */
  readonly #orders: readonly (readonly number[])[];
  readonly #optional: readonly number[];
  /** Properties that clauses refer to. */
  readonly #deciding: readonly number[];
  readonly #known = new Map<string, boolean>();
  readonly #all: number;
  readonly #isVoid: boolean;
  #searched = 0;

  constructor(shape: ObjectShape, { isClosed = false, isSorted = false }: ObjectOrder = {}) {
    this.#shape = shape;
    this.#isClosed = isClosed;
    this.#isSorted = isSorted;
    const possible = shape.entries.flatMap((entry) => {
      const options = entry.options.filter(({ node }) => node.isPossible);
      return options.length > 0 || entry.isRequired ? [{ ...entry, options }] : [];
    });
    const entries = isSorted ? possible.toSorted((a, b) => a.name < b.name ? -1 : 1) : possible;
    this.#entries = entries;
    this.#required = placesOf(entries, ({ isRequired }) => isRequired);
    this.#optional = placesOf(entries, ({ isRequired }) => !isRequired);
    this.#orders = isSorted ? [this.#required] : this.#ordersOf(shape);
    const others = shape.others.filter(({ node }) => node.isPossible);
    const needsOthers = shape.least > entries.length || shape.some > 0;
    this.others = isClosed && !shape.isOpen && !needsOthers ? [] : others;
    this.#all = 2 ** shape.some - 1;
    const clauses = this.#clausesOf(entries);
    this.#isVoid = clauses === undefined || entries.some(({ options }) => options.length === 0);
    const named = new Set((clauses ?? []).flatMap(({ present, absent }) => [...present, ...absent]));
    this.#deciding = placesOf(
      entries,
      ({ name, options }) => named.has(name) || options.some(({ counts }) => counts.length > 0),
    );
    this.#isFree = named.size === 0 && shape.some === 0 && shape.most === Infinity &&
      shape.least <= this.#required.length;
    this.start = {
      taken: 0,
      orders: 2 ** this.#orders.length - 1,
      used: 0n,
      count: 0,
      total: 0,
      had: 0,
      hasOthers: false,
      isOver: false,
      clauses: clauses ?? [],
    };
  }

  get isPossible(): boolean {
    return !this.#isVoid && this.#canEnd(this.start);
  }

  /** Whether the object may end here. */
  endsAt({ taken, count, total, had, clauses }: ObjectState): boolean {
    const { least, most } = this.#shape;
    if (taken < this.#required.length || count < least || total > most || had !== this.#all) return false;
    return clauses.every(({ absent }) => absent.length > 0);
  }

  /** Possible next properties from which the object can still be completed. */
  steps(state: ObjectState): ObjectStep[] {
    return this.#isSorted ? this.#sortedSteps(state) : [
      ...this.#nextRequired(state).flatMap((place) => this.#stepsTo(place, state)),
      ...this.#optional.flatMap((place) => isUsed(state, place) ? [] : this.#stepsTo(place, state)),
      ...this.#stepsToOthers(state),
    ];
  }

  #sortedSteps(state: ObjectState): ObjectStep[] {
    const found: ObjectStep[] = [];
    let at = state;
    for (const [place, { name, isRequired }] of this.#entries.entries()) {
      if (isUsed(at, place)) continue;
      found.push(...this.#stepsTo(place, at));
      if (isRequired) return found;
      // Skipped properties are no longer allowed.
      const clauses = decided(at.clauses, name, false);
      if (clauses === undefined) return found;
      at = { ...at, used: at.used | bit(place), clauses };
    }
    return [...found, ...this.#stepsToOthers(at)];
  }

  /** Equal states have equal keys. */
  key({ taken, orders, used, count, total, had, hasOthers, isOver, clauses }: ObjectState): string {
    return `${taken} ${orders} ${used.toString(36)} ${count} ${total} ${had} ${hasOthers} ${isOver} ${
      clauses.length === 0 ? "" : JSON.stringify(clauses)
    }`;
  }

  #clausesOf(entries: readonly Entry[]): readonly Clause[] | undefined {
    const names = new Set(entries.map(({ name }) => name));
    let clauses: readonly Clause[] | undefined = this.#shape.clauses;
    for (const { present, absent } of this.#shape.clauses) {
      for (const name of [...present, ...absent]) {
        if (!names.has(name) && clauses !== undefined) clauses = decided(clauses, name, false);
      }
    }
    for (const { name, isRequired } of entries) {
      if (isRequired && clauses !== undefined) clauses = decided(clauses, name, true);
    }
    return clauses;
  }

  /** The order of the schema, and that of `required` if it differs. */
  #ordersOf({ required, isListedOnce }: ObjectShape): (readonly number[])[] {
    if (!isListedOnce) return [];
    const ranks = new Map(required.map((name, index) => [name, index]));
    const rank = (place: number): number => ranks.get((this.#entries[place] as Entry).name) ?? 0;
    const other = this.#required.toSorted((a, b) => rank(a) - rank(b));
    return other.every((place, index) => place === this.#required[index]) ? [other] : [this.#required, other];
  }

  /** Indexes of the required properties that may be next. */
  #nextRequired(state: ObjectState): number[] {
    if (this.#orders.length === 0) return this.#required.filter((place) => !isUsed(state, place));
    const next = this.#orders.flatMap((order, index) =>
      (state.orders >> index & 1) === 1 ? order[state.taken] ?? [] : []
    );
    return [...new Set(next)];
  }

  #stepsTo(place: number, state: ObjectState): ObjectStep[] {
    const entry = this.#entries[place] as Entry;
    const { name, isRequired, options } = entry;
    const clauses = decided(state.clauses, name, true);
    if (clauses === undefined) return [];
    const { taken, orders } = state;
    const left = isRequired
      ? {
        taken: taken + 1,
        orders: bitsWhere(this.#orders, (order, at) => (orders >> at & 1) === 1 && order[taken] === place),
      }
      : { taken, orders };
    const after = { ...state, ...left, used: state.used | bit(place), clauses };
    return options.flatMap((option) => {
      const next = this.#after(after, option, true);
      return this.#canEnd(next) ? [{ entry, option, next }] : [];
    });
  }

  #stepsToOthers(state: ObjectState): ObjectStep[] {
    if (state.isOver || this.#isClosed && state.taken < this.#required.length) return [];
    return this.others.flatMap((option) => {
      const next = this.#after(state, option, false);
      return this.#canEnd(next) ? [{ entry: undefined, option, next }] : [];
    });
  }

  #after(state: ObjectState, option: Option, isTold: boolean): ObjectState {
    const { least, most } = this.#shape;
    const counts = isTold || !state.hasOthers;
    return {
      ...state,
      had: state.had | bitsOf(option),
      hasOthers: state.hasOthers || !isTold,
      isOver: state.isOver || !isTold && option.counts.length > 0,
      count: Math.min(counts ? state.count + 1 : state.count, least),
      total: most === Infinity ? 0 : state.total + 1,
    };
  }

  #canEnd(state: ObjectState): boolean {
    if (this.#isFree) return true;
    const key = this.key(state);
    let known = this.#known.get(key);
    if (known === undefined) {
      if (++this.#searched > MAX_SEARCH) return false;
      this.#known.set(key, known = this.#search(state));
    }
    return known;
  }

  /** Whether the required properties and some optional ones can supply what is missing. */
  #search(state: ObjectState): boolean {
    const { least, most } = this.#shape;
    const open = this.#deciding.filter((place) => !isUsed(state, place)).map((place) => this.#entries[place] as Entry);
    const deciding = open.filter(({ isRequired }) => !isRequired).length;
    /** Properties that are certainly present, and optional ones that nothing depends on. */
    const left = this.#required.length - state.taken - (open.length - deciding);
    const unused = this.#optional.filter((place) => !isUsed(state, place)).length - deciding;
    const seen = new Set<string>();
    const visit = (at: number, added: number, had: number, clauses: readonly Clause[]): boolean => {
      const entry = open[at];
      if (entry === undefined) {
        if (clauses.length > 0) return false;
        const lacking = least - state.count - left - added;
        return this.#canFill(state, { had, lacking, room: most - state.total - left - added, unused });
      }
      const key = `${at} ${added} ${had} ${JSON.stringify(clauses)}`;
      if (seen.has(key)) return false;
      seen.add(key);
      if (++this.#searched > MAX_SEARCH) return false;
      const present = decided(clauses, entry.name, true);
      if (
        present !== undefined && entry.options.some((option) => visit(at + 1, added + 1, had | bitsOf(option), present))
      ) {
        return true;
      }
      if (entry.isRequired) return false;
      const absent = decided(clauses, entry.name, false);
      return absent !== undefined && visit(at + 1, added, had, absent);
    };
    return visit(0, 0, state.had, state.clauses);
  }

  /**
   * Whether independent properties can supply what is missing: unused ones, and one additional property.
   */
  #canFill(
    { hasOthers, isOver }: ObjectState,
    { had, lacking, room, unused }: {
      readonly had: number;
      readonly lacking: number;
      readonly room: number;
      readonly unused: number;
    },
  ): boolean {
    const kinds = this.#all & ~had;
    const more = Math.max(0, lacking);
    if (kinds === 0 && more <= unused && more <= room) return true;
    const others = Math.max(0, hasOthers ? lacking : lacking - 1);
    if (isOver || others > unused || others + 1 > room) return false;
    return this.others.some((option) => (kinds & ~bitsOf(option)) === 0);
  }
}

function isUsed({ used }: ObjectState, place: number): boolean {
  return (used & bit(place)) !== 0n;
}

function bit(place: number): bigint {
  return 1n << BigInt(place);
}

/** Bits of the kinds that an option matches. */
function bitsOf({ counts }: Option): number {
  return counts.reduce((bits, kind) => bits | 1 << kind, 0);
}

function bitsWhere<T>(all: readonly T[], test: (each: T, index: number) => boolean): number {
  return all.reduce((bits, each, index) => test(each, index) ? bits | 1 << index : bits, 0);
}

function placesOf(entries: readonly Entry[], test: (entry: Entry) => boolean): number[] {
  return entries.flatMap((entry, place) => test(entry) ? [place] : []);
}

/** The clauses after deciding a property; `undefined` if one is violated. */
function decided(clauses: readonly Clause[], name: string, isPresent: boolean): readonly Clause[] | undefined {
  if (clauses.length === 0) return clauses;
  const left: Clause[] = [];
  for (const { present, absent } of clauses) {
    if ((isPresent ? present : absent).includes(name)) continue;
    const rest = isPresent
      ? { present, absent: absent.filter((other) => other !== name) }
      : { present: present.filter((other) => other !== name), absent };
    if (rest.present.length === 0 && rest.absent.length === 0) return undefined;
    left.push(rest);
  }
  return left;
}
