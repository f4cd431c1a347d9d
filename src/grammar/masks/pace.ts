/** Divides the computation of a token mask into slices, and aborts it if it takes too long. */
import type { Automaton } from "../automaton/automaton.ts";
import { GrammarError } from "../rules.ts";

/**
 * Total limit in stacks, about 0.3 s; more for a large vocabulary, which does not make a grammar more ambiguous.
 */
const MAX_WALK = 1_000_000;
const MAX_WALK_PER_NODE = 16;
/** Stacks and trie nodes per slice: a few tenths of a millisecond. */
const PIECE_STACKS = 500;
const PIECE_NODES = 8192;

/** Decides when a slice ends. */
export class Pace {
  readonly #automaton: Automaton;
  readonly #mostWork: number;
  #pieceWork: number;
  #pieceNodes = PIECE_NODES;

  /** @param nodes Trie nodes of the vocabulary. */
  constructor(automaton: Automaton, nodes = 0) {
    this.#automaton = automaton;
    this.#mostWork = automaton.work + Math.max(MAX_WALK, nodes * MAX_WALK_PER_NODE);
    this.#pieceWork = automaton.work + PIECE_STACKS;
  }

  /**
   * Called at each node: whether the slice is done.
   *
   * @throws {GrammarError} If the total limit is exceeded.
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
