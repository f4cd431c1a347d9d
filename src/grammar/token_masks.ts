/**
 * All tokens that may come next at a place in a text, as a bit for each. Most places are within strings: a state that most
 * characters lead back to takes all tokens that are made of them, which is the same for every grammar, and of the others
 * only those are looked at that have a quote or a backslash. A place from where most characters lead to such a state
 * differs from it in a few tokens. Everywhere else the trie of the vocabulary is gone through.
 */
import type { Automaton } from "./automaton.ts";
import { type Position, set, type State, unset } from "./grammar_state.ts";
import { GrammarError } from "./rules.ts";
import type { Loop } from "./vocabulary/string_tokens.ts";
import { A_PLAIN, type VocabularyIndex } from "./vocabulary/vocabulary_index.ts";
import { FIRST_TWIN, NO_TOKEN_HERE, type VocabularyTrie } from "./vocabulary/vocabulary_trie.ts";
import { SharedWork, type Work } from "../work/work.ts";

/** Stacks that may be looked at to find the tokens a state allows; some 0.3 s. */
const MAX_WALK = 1_000_000;
/** Stacks that are looked at, and nodes of the vocabulary, in a piece of that: some tenths of a millisecond. */
const PIECE_STACKS = 500;
const PIECE_NODES = 8192;
/** Memory for the tokens that states allow, in bytes, before the oldest are forgotten. */
const ALLOWED_BYTES = 8 * 2 ** 20;
/** A state is taken for a loop where so many of the ASCII characters lead back to it. */
const LEAST_LOOPING = 10;
/** Characters of which one is likely to lead to the loop that most lead to. */
const PROBES = [0x71, 0x5a, 0x37, 0x20];
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_SAFE = 0x20;
const FIRST_WIDE = 0x80;

/** Finds the tokens that may come next, and remembers them. */
export class TokenMasks {
  readonly #automaton: Automaton;
  /** States whose allowed tokens are known, the oldest first, and of which vocabulary. */
  #walked: State[] = [];
  #index: VocabularyIndex | undefined;

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
  }

  /** Memory that it takes, in bytes, roughly. */
  get bytes(): number {
    return this.#walked.reduce((sum, { allowed }) => sum + (allowed?.byteLength ?? 0), 0);
  }

  /** As {@linkcode Grammar.known}. */
  known({ state, lacking }: Position, index: VocabularyIndex): Uint32Array | undefined {
    if (this.#index !== index) this.forget();
    this.#index = index;
    return lacking > 0 ? undefined : state.allowed;
  }

  /** As {@linkcode Grammar.allowed}. */
  *find(at: Position, index: VocabularyIndex): Work<Uint32Array> {
    const known = this.known(at, index);
    if (known !== undefined) return known;
    if (at.lacking > 0) return yield* this.#walk(at, index);
    const { state } = at;
    state.walk ??= new SharedWork(this.#walk(at, index));
    // Where all give up on it, it stays for the next; what it failed with, too.
    const allowed = yield* state.walk.join();
    if (state.allowed === undefined) this.#keep(state, allowed);
    state.walk = undefined;
    return allowed;
  }

  /** All that is known of states. */
  forget(): void {
    for (const state of this.#walked) state.allowed = undefined;
    this.#walked = [];
  }

  #keep(state: State, allowed: Uint32Array): void {
    state.allowed = allowed;
    this.#walked.push(state);
    if (this.#walked.length * allowed.byteLength <= ALLOWED_BYTES) return;
    const half = this.#walked.length >> 1;
    for (const old of this.#walked.splice(0, half)) old.allowed = undefined;
  }

  *#walk(at: Position, index: VocabularyIndex): Work<Uint32Array> {
    const allowed = yield* this.#text(at, index);
    if (at.lacking > 0) return allowed;
    const { state } = at;
    for (const { place } of state.tokenStacks) {
      const token = this.#automaton.tokenAt(place) as number;
      if (token < index.size) set(allowed, token);
    }
    if (state.canEnd) { for (const token of index.ending) set(allowed, token); }
    return allowed;
  }

  /** The tokens that are text. */
  *#text(at: Position, index: VocabularyIndex): Work<Uint32Array> {
    if (at.lacking === 0) {
      const loop = this.#loopOf(at.state);
      if (loop !== undefined) return yield* this.#inLoop(at.state, loop, index);
      const target = this.#mostLeadTo(at.state);
      if (target !== undefined) return yield* this.#exceptions(at.state, target, index);
    }
    const plain = this.#plainFrom(at, index.longestPlain);
    const allowed = (plain === undefined ? undefined : index.plainUpTo(plain)?.slice()) ??
      new Uint32Array((index.size + 31) >> 5);
    yield* this.#follow(at, plain === undefined ? index.all : index.special, (token) => set(allowed, token));
    return allowed;
  }

  /**
   * Within a string: tokens of characters that lead back here, and those with a quote, a backslash or a control character
   * whose characters before it do.
   */
  *#inLoop(state: State, loop: Loop, index: VocabularyIndex): Work<Uint32Array> {
    const allowed = index.strings.within(loop).slice();
    yield* this.#follow(state, index.strings.suffixes, (suffix) => {
      for (const token of index.strings.ending(suffix, loop)) set(allowed, token);
    });
    return allowed;
  }

  /** Nearly as in a loop: what differs is found by going along the ways that do not lead into it. */
  *#exceptions(from: State, target: State, index: VocabularyIndex): Work<Uint32Array> {
    const base = yield* this.find(target, index);
    const allowed = base.slice();
    for (const token of index.ending) unset(allowed, token);
    const loop = this.#loopOf(target) as Loop;
    const { bytes, depths, ends } = index.all;
    const pace = this.#pace();
    const path: Position[] = [from];
    /** Whether all bytes above a node lead from the loop back to it. */
    const looping: boolean[] = [true];
    for (let node = 0; node < bytes.length;) {
      if (pace()) yield;
      const depth = depths[node] as number;
      const byte = bytes[node] as number;
      const above = path[depth] as Position;
      const loops = looping[depth] as boolean && (byte < FIRST_WIDE ? hasBit(loop.ascii, byte) : loop.wide);
      const isIn = loops && above.lacking === 0 && byte >= FIRST_WIDE && this.#wideLeadsTo(above.state, target);
      const next = isIn ? target : this.#automaton.advanceByte(above, byte);
      if (loops && next === target) {
        node = ends[node] as number;
      } else if (next === undefined) {
        const end = ends[node] as number;
        for (; node < end; node++) forTokens(index.all, node, (token) => unset(allowed, token));
      } else {
        forTokens(index.all, node, (token) => set(allowed, token));
        path[depth + 1] = next;
        looping[depth + 1] = loops;
        node++;
      }
    }
    return allowed;
  }

  /** How a state loops; `undefined`: it does not, or not as a string does. */
  #loopOf(state: State): Loop | undefined {
    if (state.loop === undefined) state.loop = this.#findLoop(state);
    return state.loop ?? undefined;
  }

  #findLoop(state: State): Loop | null {
    // Most states do not.
    if (!PROBES.some((char) => this.#automaton.step(state, char) === state)) return null;
    const ascii = new Uint32Array(4);
    let looping = 0;
    for (let char = 0; char < FIRST_WIDE; char++) {
      const next = this.#automaton.step(state, char);
      const isSafe = char >= FIRST_SAFE && char !== QUOTE && char !== BACKSLASH;
      if (next === state && isSafe) {
        set(ascii, char);
        looping++;
      } else if (next !== null && isSafe) return null;
    }
    const wide = this.#automaton.wideFrom(state);
    if (looping < LEAST_LOOPING || wide === undefined || wide !== null && wide !== state) return null;
    return { ascii, wide: wide === state, key: `${ascii.join()} ${wide === state}` };
  }

  /** The loop that most characters lead to. */
  #mostLeadTo(state: State): State | undefined {
    const reached = new Map<State, number>();
    for (const char of PROBES) {
      const next = this.#automaton.step(state, char);
      if (next === null || next.tokenStacks.length > 0 || this.#loopOf(next) === undefined) continue;
      const count = (reached.get(next) ?? 0) + 1;
      if (count > 1) return next;
      reached.set(next, count);
    }
    return undefined;
  }

  #wideLeadsTo(state: State, target: State): boolean {
    return this.#automaton.wideFrom(state) === target;
  }

  /**
   * How many plain characters may come, whichever they are.
   *
   * @returns `undefined` if that depends on which they are.
   */
  #plainFrom(at: Position, most: number): number | undefined {
    if (at.lacking > 0) return undefined;
    let state = at.state;
    for (let count = 0; count < most; count++) {
      if (state.stacks.some(({ place }) => this.#automaton.charsAt(place)?.plain === "some")) return undefined;
      const next = this.#automaton.step(state, A_PLAIN);
      if (next === null) return count;
      if (next === state) return most;
      state = next;
    }
    return most;
  }

  /** Go through a trie; what is below bytes that are refused is skipped. */
  *#follow(at: Position, trie: VocabularyTrie, found: (token: number) => void): Work<void> {
    const { bytes, depths, ends, tokens } = trie;
    const pace = this.#pace();
    /** Where the bytes above a node lead. */
    const path: Position[] = [at];
    for (let node = 0; node < bytes.length;) {
      if (pace()) yield;
      const depth = depths[node] as number;
      const next = this.#automaton.advanceByte(path[depth] as Position, bytes[node] as number);
      if (next === undefined) {
        node = ends[node] as number;
        continue;
      }
      path[depth + 1] = next;
      if (tokens[node] !== NO_TOKEN_HERE) forTokens(trie, node, found);
      node++;
    }
  }

  /**
   * Asked at each node: whether a piece of work is done.
   *
   * @throws {GrammarError} By what it returns, if all pieces together are too much.
   */
  #pace(): () => boolean {
    const mostWork = this.#automaton.work + MAX_WALK;
    let pieceWork = this.#automaton.work + PIECE_STACKS;
    let pieceNodes = PIECE_NODES;
    return () => {
      const { work } = this.#automaton;
      if (work <= pieceWork && --pieceNodes > 0) return false;
      if (work > mostWork) throw new GrammarError("The grammar is too ambiguous to be followed");
      pieceWork = work + PIECE_STACKS;
      pieceNodes = PIECE_NODES;
      return true;
    };
  }
}

function hasBit(bits: Uint32Array, at: number): boolean {
  return ((bits[at >> 5] as number) >>> (at & 31) & 1) === 1;
}

function forTokens({ tokens, twins }: VocabularyTrie, node: number, found: (token: number) => void): void {
  const token = tokens[node] as number;
  if (token > NO_TOKEN_HERE) found(token);
  else if (token < NO_TOKEN_HERE) { for (const twin of twins[FIRST_TWIN - token] ?? []) found(twin); }
}
