/**
 * Detects states where any characters of a set are allowed, at least for a while: within a string of bounded length, or
 * one that must contain something.
 */
import type { Automaton } from "../automaton/automaton.ts";
import { type FreeText, set, type State } from "../grammar_state.ts";
import { Pace } from "./pace.ts";
import type { Work } from "../../work/work.ts";

/** Below these, in characters and length, it is not worth while. */
const LEAST_CHARS = 24;
const LEAST_LENGTH = 4;
/** Limits of the search: length, states and stacks. */
const MOST_LENGTH = 20;
const MOST_STATES = 64;
const MOST_STACKS = 3000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_SAFE = 0x20;
const FIRST_WIDE = 0x80;

/** The free text at a state; `null`: not worth using. Cached in the state. */
export function* freeTextAt(state: State, automaton: Automaton): Work<FreeText | null> {
  if (state.free === undefined) state.free = yield* find(state, automaton);
  return state.free;
}

function* find(state: State, automaton: Automaton): Work<FreeText | null> {
  const { rows, row } = state.alphabet ?? automaton.alphabetOf(state);
  const taken: number[] = [];
  const counts = new Map<number, number>();
  let commonest = 0;
  for (let char = FIRST_SAFE; char < FIRST_WIDE; char++) {
    const kind = rows[row + char] as number;
    if (kind === 0 || char === QUOTE || char === BACKSLASH) continue;
    taken.push(char);
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    if (count > (counts.get(commonest) ?? 0)) commonest = kind;
  }
  if (taken.length < LEAST_CHARS) return null;
  const wides = automaton.widesFrom(state);
  const all = yield* new Search(automaton, taken, !wides.has(null)).from(state);
  if (all !== null) return all;
  const target = automaton.step(state, taken.find((char) => rows[row + char] === commonest) as number);
  const alike: number[] = [];
  const pace = new Pace(automaton);
  for (const char of taken) {
    if (automaton.step(state, char) === target) alike.push(char);
    if (pace.isOver()) yield;
  }
  if (alike.length < LEAST_CHARS || alike.length === taken.length) return null;
  return yield* new Search(automaton, alike, wides.size === 1 && wides.has(target)).from(state);
}

/** Searches for a state that does not accept all characters of a set. */
class Search {
  readonly #automaton: Automaton;
  readonly #chars: readonly number[];
  readonly #wide: boolean;
  /** Distance of each state, in characters. */
  readonly #seen = new Map<State, number>();
  readonly #pace: Pace;
  readonly #end: number;
  /** Whether longer texts reach some of the states, too. */
  #hasDetours = false;

  constructor(automaton: Automaton, chars: readonly number[], wide: boolean) {
    this.#automaton = automaton;
    this.#chars = chars;
    this.#wide = wide;
    this.#pace = new Pace(automaton);
    this.#end = automaton.work + MOST_STACKS;
  }

  /** Breadth-first search. */
  *from(state: State): Work<FreeText | null> {
    this.#seen.set(state, 0);
    let layer = [state];
    let most = 0;
    search: while (layer.length > 0 && most < MOST_LENGTH && this.#seen.size < MOST_STATES) {
      const next: State[] = [];
      for (const each of layer) {
        if (!(yield* this.#visit(each, most + 1, next))) break search;
      }
      layer = next;
      most++;
    }
    const isEndless = layer.length === 0;
    if (!isEndless && most < LEAST_LENGTH) return null;
    const ascii = new Uint32Array(4);
    for (const char of this.#chars) set(ascii, char);
    const chars = { ascii, wide: this.#wide, key: `${ascii.join()} ${this.#wide}` };
    const isExact = !this.#hasDetours && layer.every((each) => this.#refusesAll(each));
    const free = { chars, most: isEndless ? Infinity : most, isExact };
    // The same holds for all states it leads to.
    if (isEndless) { for (const each of this.#seen.keys()) each.free ??= free; }
    return free;
  }

  /** Visit the successors. Returns whether the state accepts all of the characters, within the limits. */
  *#visit(state: State, length: number, next: State[]): Work<boolean> {
    const automaton = this.#automaton;
    const chars = this.#chars;
    const { rows, row } = state.alphabet ?? automaton.alphabetOf(state);
    for (let i = 0; i < chars.length; i++) if (rows[row + (chars[i] as number)] === 0) return false;
    const wides = this.#wide ? automaton.widesFrom(state) : [];
    for (const to of wides) if (to === null) return false;
    for (const to of wides) this.#come(to as State, length, next);
    let before = 0;
    for (let i = 0; i < chars.length; i++) {
      const char = chars[i] as number;
      const kind = rows[row + char] as number;
      if (kind === before) continue;
      if (automaton.work > this.#end) return false;
      before = kind;
      this.#come(state.targets[kind] ?? automaton.lead(state, char, kind), length, next);
      if (this.#pace.isOver()) yield;
    }
    return true;
  }

  #refusesAll(state: State): boolean {
    const { rows, row } = state.alphabet ?? this.#automaton.alphabetOf(state);
    if (this.#chars.some((char) => rows[row + char] !== 0)) return false;
    return !this.#wide || this.#automaton.wideFrom(state) === null;
  }

  #come(state: State, length: number, next: State[]): void {
    const known = this.#seen.get(state);
    if (known !== undefined) {
      if (known < length) this.#hasDetours = true;
      return;
    }
    this.#seen.set(state, length);
    next.push(state);
  }
}
