/** Queries about languages: continuations, emptiness and lengths. Automata are built lazily. */
import type { CharSet } from "../rules.ts";
import { finish, type Work } from "../../work/work.ts";
import { ALL_CHARS, intersection, kindsOf, normalized } from "./chars.ts";
import { Expressions, type Language, LanguageError, MAX_SEARCH_WORK } from "./expressions.ts";
import { type Interval, LengthTable, productOfLengths, repeatedLengths, unionOfLengths } from "./lengths.ts";

export { type Language, LanguageError, type Machine } from "./expressions.ts";

/** Characters with the same derivative. */
export interface Move {
  readonly chars: CharSet;
  readonly to: Language;
}

/** Endings of the texts. */
interface Ends {
  /** Length of the shortest ending. */
  readonly shortest: number;
  /** Characters sufficient to complete a text at any point after its first character. */
  readonly left: number;
}

/** Maximum expressions visited to decide emptiness. */
const MAX_SEARCH = 2_000;
/** Maximum states of a length table. */
const MAX_TABLE = 3_000;
/** Derivatives per slice; for numbers, one may take a hundredth of a millisecond. */
const PIECE_WORK = 100;

/** A set of comparable languages. */
export class Languages extends Expressions {
  readonly #moves = new Map<Language, readonly Move[]>();
  readonly #liveMoves = new Map<Language, readonly Move[]>();
  readonly #isEmpty = new Map<Language, boolean>();
  readonly #lengths = new Map<Language, readonly Interval[] | undefined>();
  readonly #ends = new Map<Language, Ends | undefined>();
  readonly #tables = new Map<Language, LengthTable>();

  /**
   * Transitions, without dead ends.
   *
   * @throws {LanguageError} If the work limit is exceeded.
   */
  moves(language: Language): readonly Move[] {
    const moves = this.#allMoves(language);
    if (!language.open) return moves;
    let live = this.#liveMoves.get(language);
    if (live === undefined) {
      live = this.step(() => moves.filter(({ to }) => !this.isEmpty(to)), MAX_SEARCH_WORK);
      this.#liveMoves.set(language, live);
    }
    return live;
  }

  /** The only first character and its derivative; `undefined` if there are several or none. */
  onlyMove(language: Language): { readonly char: number; readonly to: Language } | undefined {
    if (language.nullable) return undefined;
    if (!language.open) {
      // Decided by the expression: derivatives for many characters are slow.
      const sets = new Set<CharSet>();
      this.firsts(language, sets);
      const [only] = sets;
      if (only === undefined || sets.size > 1 || !isSingle(only)) return undefined;
    }
    const [only, other] = this.moves(language);
    return only === undefined || other !== undefined || !isSingle(only.chars)
      ? undefined
      : { char: only.chars[0] as number, to: only.to };
  }

  /**
   * Whether a language is empty.
   *
   * @throws {LanguageError} If the work limit is exceeded.
   */
  isEmpty(language: Language): boolean {
    const { form, open, nullable } = language;
    if (nullable) return false;
    if (!open) return language === this.none;
    switch (form.op) {
      case "concat":
        return this.isEmpty(form.first) || this.isEmpty(form.rest);
      case "or":
        return form.parts.every((part) => this.isEmpty(part));
      case "repeat":
        return this.isEmpty(form.part);
      default:
        return this.step(() => finish(this.#search(language)), MAX_SEARCH_WORK);
    }
  }

  /**
   * Whether a language has a text within length bounds.
   *
   * @throws {LanguageError} If the work limit is exceeded.
   */
  hasLength(language: Language, least: number, most: number): boolean {
    if (least > most || this.isEmpty(language)) return false;
    if (least === 0 && most === Infinity) return true;
    const ends = this.ends(language);
    if (ends !== undefined && least <= ends.shortest) return ends.shortest <= most;
    const { form } = language;
    if (form.op === "or") return form.parts.some((part) => this.hasLength(part, least, most));
    const lengths = this.lengths(language);
    if (lengths !== undefined) return lengths.some(([from, to]) => from <= most && to >= least);
    return this.#table(language).has(language, least, most);
  }

  /** The possible lengths, if the expression determines them. */
  lengths(language: Language): readonly Interval[] | undefined {
    let lengths = this.#lengths.get(language);
    if (lengths === undefined && !this.#lengths.has(language)) {
      lengths = this.#lengthsOf(language);
      this.#lengths.set(language, lengths);
    }
    return lengths;
  }

  /** The endings of its texts, if the expression determines them. */
  ends(language: Language): Ends | undefined {
    let ends = this.#ends.get(language);
    if (ends === undefined && !this.#ends.has(language)) this.#ends.set(language, ends = this.#endsOf(language));
    return ends;
  }

  /**
   * Compute all derivatives, so that no search is needed during matching; in slices.
   *
   * @throws {LanguageError} If the work limit is exceeded.
   */
  *explore(language: Language): Work<void> {
    const seen = new Set([language]);
    let end = this.work + PIECE_WORK;
    for (const state of seen) {
      if (seen.size > MAX_TABLE) throw new LanguageError("it is too complex beside what else is demanded");
      for (const { to } of this.#allMoves(state)) yield* this.lookFor(to);
      for (const { to } of this.moves(state)) seen.add(to);
      if (this.work < end) continue;
      yield;
      end = this.work + PIECE_WORK;
    }
  }

  /** Precompute `isEmpty`, in slices. */
  *lookFor(language: Language): Work<void> {
    const { form, open, nullable } = language;
    if (nullable || !open) return;
    switch (form.op) {
      case "concat":
        yield* this.lookFor(form.first);
        if (!this.isEmpty(form.first)) yield* this.lookFor(form.rest);
        break;
      case "or":
        for (const part of form.parts) {
          yield* this.lookFor(part);
          if (!this.isEmpty(part)) break;
        }
        break;
      case "repeat":
        yield* this.lookFor(form.part);
        break;
      default:
        yield* this.#search(language);
    }
  }

  /**
   * Precompute derivatives, in slices. Stops at the work limit; callers then compute the rest on demand.
   */
  *walk(language: Language): Work<void> {
    const seen = new Set([language]);
    let end = this.work + PIECE_WORK;
    for (const state of seen) {
      if (seen.size > MAX_TABLE) return;
      for (const { to } of this.#allMoves(state)) seen.add(to);
      if (this.work < end) continue;
      yield;
      end = this.work + PIECE_WORK;
    }
  }

  #lengthsOf({ form }: Language): readonly Interval[] | undefined {
    switch (form.op) {
      case "none":
        return [];
      case "empty":
        return [[0, 0]];
      case "chars":
        return [[1, 1]];
      case "words":
        return form.node.lengths();
      case "concat":
        return productOfLengths(this.lengths(form.first), this.lengths(form.rest));
      case "or":
        return unionOfLengths(form.parts.map((part) => this.lengths(part)));
      case "repeat":
        return repeatedLengths(this.lengths(form.part), form.least, form.most);
      default:
        return undefined;
    }
  }

  #endsOf(language: Language): Ends | undefined {
    const { form } = language;
    switch (form.op) {
      case "chars":
      case "empty":
      case "words": {
        const [[shortest] = [], ...more] = this.lengths(language) ?? [];
        const longest = (more.at(-1) ?? this.lengths(language)?.[0])?.[1] ?? 0;
        return shortest === undefined ? undefined : { shortest, left: Math.max(0, longest - 1) };
      }
      case "concat": {
        const [first, rest] = [this.ends(form.first), this.ends(form.rest)];
        if (first === undefined || rest === undefined) return undefined;
        return { shortest: first.shortest + rest.shortest, left: Math.max(first.left + rest.shortest, rest.left) };
      }
      case "or": {
        const parts = form.parts.map((part) => this.ends(part));
        return parts.reduce((one, other) =>
          one === undefined || other === undefined ? undefined : {
            shortest: Math.min(one.shortest, other.shortest),
            left: Math.max(one.left, other.left),
          }
        );
      }
      case "repeat": {
        const part = this.ends(form.part);
        if (part === undefined) return undefined;
        return {
          shortest: form.least * part.shortest,
          left: part.left + Math.max(0, form.least - 1) * part.shortest,
        };
      }
      default:
        return undefined;
    }
  }

  #table(language: Language): LengthTable {
    const known = this.#tables.get(language);
    if (known !== undefined) return known;
    const states = new Set([language]);
    const moves: (readonly [from: Language, to: Language])[] = [];
    for (const state of states) {
      if (states.size > MAX_TABLE) throw new LanguageError("it is too complex beside a length");
      for (const { to } of this.moves(state)) {
        states.add(to);
        moves.push([state, to]);
      }
    }
    const table = new LengthTable([...states], moves);
    for (const state of states) this.#tables.set(state, table);
    return table;
  }

  /** Breadth-first search for a text: expressions on its path are non-empty; without one, all visited are empty. */
  *#search(language: Language): Work<boolean> {
    const known = this.#isEmpty.get(language);
    if (known !== undefined) return known;
    let end = this.work + PIECE_WORK;
    const from = new Map<Language, Language | undefined>([[language, undefined]]);
    for (const state of from.keys()) {
      if (from.size > MAX_SEARCH) throw new LanguageError("it is too complex beside what else is demanded");
      if (this.work > end) {
        yield;
        end = this.work + PIECE_WORK;
      }
      for (const { to } of this.#allMoves(state)) {
        if (from.has(to)) continue;
        from.set(to, state);
        if (to.nullable || this.#isEmpty.get(to) === false || !to.open) {
          for (let at: Language | undefined = to; at !== undefined; at = from.get(at)) this.#isEmpty.set(at, false);
          return false;
        }
      }
    }
    for (const state of from.keys()) this.#isEmpty.set(state, true);
    return true;
  }

  #allMoves(language: Language): readonly Move[] {
    let moves = this.#moves.get(language);
    if (moves === undefined) this.#moves.set(language, moves = this.step(() => this.#findMoves(language)));
    return moves;
  }

  #findMoves(language: Language): readonly Move[] {
    const sets = new Set<CharSet>();
    this.firsts(language, sets);
    const targets = new Map<Language, number[]>();
    for (const { sample, ranges } of kindsOf([...sets])) {
      const to = this.after(language, sample);
      if (to === this.none) continue;
      const known = targets.get(to);
      if (known === undefined) targets.set(to, ranges);
      else known.push(...ranges);
    }
    return [...targets].map(([to, ranges]) => ({ to, chars: intersection(normalized(ranges), ALL_CHARS) }))
      .filter(({ chars }) => chars.length > 0);
  }
}

function isSingle(set: CharSet): boolean {
  return set.length === 2 && set[0] === set[1];
}

/** Whether emptiness stays cheap to decide during matching: only words are excluded. */
export function isSimple({ open, form }: Language): boolean {
  const leavesOutWords = (part: Language): boolean => part.form.op === "not" && part.form.part.form.op === "words";
  return !open || form.op === "not" && form.part.form.op === "words" ||
    form.op === "and" && form.parts.every((part) => !part.open || leavesOutWords(part));
}
