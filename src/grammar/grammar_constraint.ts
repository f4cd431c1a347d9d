/** A grammar as a constraint on one answer: its position, and the allowed tokens once they are known. */
import type { Constraint, Forced } from "./constraint.ts";
import { GrammarError, type Rules } from "./rules.ts";
import { COSTLY, Grammar } from "./grammar.ts";
import type { Position } from "./grammar_state.ts";
import type { TokenSet } from "./masks/token_set.ts";
import { type TokenBytes, VocabularyIndex } from "./vocabulary/vocabulary_index.ts";
import type { Work } from "../work/work.ts";

/** Work limit, in stacks, for tokens checked individually: about 2 ms in total. */
const ASKING = 5000;

/** Tracks an answer through a grammar. */
export class GrammarConstraint implements Constraint {
  readonly #grammar: Grammar;
  readonly #tokens: TokenBytes;
  #at: Position;
  /** Stacks visited since the last token. */
  #asked = 0;
  /** The token mask, once computed, and its buffer. */
  #allowed: Uint32Array | undefined;
  #bits: Uint32Array | undefined;
  readonly find: (() => Work<void>) | undefined;

  /**
   * At the beginning of an answer.
   *
   * @param grammar What it follows.
   * @param tokens What its tokens mean; an index makes it possible to find all that may come next.
   * @param start Where it begins; absent: where the grammar does.
   */
  constructor(grammar: Rules | Grammar, tokens: TokenBytes | VocabularyIndex, start?: Position) {
    this.#grammar = grammar instanceof Grammar ? grammar : new Grammar(grammar);
    this.#tokens = tokens;
    this.#at = start ?? this.#grammar.start;
    this.find = tokens instanceof VocabularyIndex ? (): Work<void> => this.#find(tokens) : undefined;
  }

  get complete(): boolean {
    const { state } = this.#at;
    return this.#grammar.canEnd(this.#at) && state.stacks.length === 0 && state.tokenStacks.length === 0;
  }

  allows(token: number): boolean | undefined {
    const allowed = this.allowed();
    if (allowed !== undefined) return ((allowed[token >> 5] ?? 0) >>> (token & 31) & 1) === 1;
    const ends = this.#tokens.ends(token);
    if (ends && this.#grammar.canEnd(this.#at)) return true;
    const bytes = ends ? NO_BYTES : this.#tokens.piece(token);
    if (this.find === undefined) return this.#grammar.follow(this.#at, token, bytes) !== undefined;
    if (this.#asked > ASKING) return undefined;
    const before = this.#grammar.work;
    const next = this.#grammar.follow(this.#at, token, bytes, ASKING);
    this.#asked += this.#grammar.work - before;
    return next === COSTLY ? undefined : next !== undefined;
  }

  allowed(): Uint32Array | undefined {
    if (!(this.#tokens instanceof VocabularyIndex)) return undefined;
    if (this.#allowed === undefined) this.#write(this.#grammar.known(this.#at, this.#tokens));
    return this.#allowed;
  }

  accept(token: number): void {
    const bytes = this.#tokens.ends(token) ? NO_BYTES : this.#tokens.piece(token);
    const next = this.#grammar.follow(this.#at, token, bytes);
    if (next === undefined) throw new GrammarError(`The grammar does not allow token ${token}`);
    this.#moveTo(next);
  }

  allowsText(text: string): boolean {
    return this.#grammar.advance(this.#at, encoder.encode(text)) !== undefined;
  }

  acceptText(text: string): void {
    const next = this.#grammar.advance(this.#at, encoder.encode(text));
    if (next === undefined) throw new GrammarError("The grammar does not allow the text");
    this.#moveTo(next);
  }

  forced(): Forced | undefined {
    return this.#grammar.forced(this.#at);
  }

  *#find(index: VocabularyIndex): Work<void> {
    const at = this.#at;
    const allowed = yield* this.#grammar.allowed(at, index);
    if (at === this.#at) this.#write(allowed);
  }

  #write(allowed: TokenSet | undefined): void {
    if (allowed !== undefined) this.#allowed = this.#bits = allowed.bits(this.#bits);
  }

  #moveTo(at: Position): void {
    this.#at = at;
    this.#asked = 0;
    this.#allowed = undefined;
  }
}

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
