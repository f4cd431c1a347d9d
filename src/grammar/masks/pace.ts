/** Cuts the search for the tokens that a state allows into pieces, and ends it where it takes too long. */
import type { Automaton } from "../automaton/automaton.ts";
import { GrammarError } from "../rules.ts";

/**
 * Stacks that may be looked at, some 0.3 s; more for a large vocabulary, as a grammar is not more ambiguous because of
 * that.
 */
const MAX_WALK = 1_000_000;
const MAX_WALK_PER_NODE = 16;
/** Stacks that are looked at, and nodes of the vocabulary, in a piece of that: some tenths of a millisecond. */
const PIECE_STACKS = 500;
const PIECE_NODES = 8192;

/** Says when a piece of work is done. */
export class Pace {
  readonly #automaton: Automaton;
  readonly #mostWork: number;
  #pieceWork: number;
  #pieceNodes = PIECE_NODES;

  /** @param nodes Nodes of the vocabulary that may be gone through. */
  constructor(automaton: Automaton, nodes = 0) {
    this.#automaton = automaton;
    this.#mostWork = automaton.work + Math.max(MAX_WALK, nodes * MAX_WALK_PER_NODE);
    this.#pieceWork = automaton.work + PIECE_STACKS;
  }

  /**
   * Asked at each node: whether a piece of work is done.
   *
   * @throws {GrammarError} If all pieces together are too much.
   */
  isOver(): boolean {
    const { work } = this.#automaton;
    if (work <= this.#pieceWork && --this.#pieceNodes > 0) return false;
    if (work > this.#mostWork) throw new GrammarError("The grammar is too ambiguous to be followed");
    this.#pieceWork = work + PIECE_STACKS;
    this.#pieceNodes = PIECE_NODES;
    return true;
  }
}
