/**
 * The grammar of all answers that are asked for in the same words: where it begins, and where what follows the beginning
 * of a call. What has been found out about it is shared by all of them.
 */
import type { AnswerRules } from "../answer/answer_rules.ts";
import type { Rules } from "../../grammar/rules.ts";
import { Grammar } from "../../grammar/grammar.ts";
import type { Position } from "../../grammar/grammar_state.ts";
import type { Compiled } from "../../grammar/grammars.ts";
import type { Work } from "../../work/work.ts";
import type { CallBeginning } from "../answer/parser_options.ts";

/** What came before an answer that is bound. */
export type Before = Parameters<AnswerRules["whole"]>[0];

/** A grammar with several beginnings. */
export class AnswerGrammar implements Compiled {
  readonly #rules: AnswerRules;
  readonly #starts = new Map<string, Position>();
  #grammar: Grammar | undefined;

  private constructor(rules: AnswerRules) {
    this.#rules = rules;
  }

  /** Make one, with the beginnings that an answer comes to soon. */
  static *of(rules: AnswerRules): Work<AnswerGrammar> {
    const grammar = new AnswerGrammar(rules);
    if (rules.binding) {
      for (const before of ["nothing", "header", "thought"] as const) {
        grammar.whole(before);
        yield;
      }
    }
    for (const kind of ["marker", "call", "name"] as const) {
      grammar.restOf({ with: kind });
      yield;
    }
    return grammar;
  }

  get bytes(): number {
    return this.#grammar?.bytes ?? 0;
  }

  /** What is followed; there is none where nothing begins. */
  get grammar(): Grammar {
    if (this.#grammar === undefined) throw new Error("Nothing binds this answer");
    return this.#grammar;
  }

  /** By the tool's name: what of its schema is not enforced while a call is written. */
  get unenforced(): AnswerRules["unenforced"] {
    return this.#rules.unenforced;
  }

  /** Whether the answer is bound from its beginning on. */
  get binding(): boolean {
    return this.#rules.binding;
  }

  /** Whether calls may come. */
  get calling(): boolean {
    return this.#rules.calling;
  }

  /** A call is what must come. */
  get required(): boolean {
    return this.#rules.required;
  }

  /** Where the whole answer begins. */
  whole(before: Before): Position {
    return this.#startOf(before, () => this.#rules.whole(before)) as Position;
  }

  /**
   * What follows the beginning of a call.
   *
   * @returns `undefined` if it is none that may come.
   */
  restOf(begun: CallBeginning): Position | undefined {
    return this.#startOf(`${begun.with} ${begun.tool ?? ""}`, () => this.#rules.restOf(begun));
  }

  /** Each is built once. */
  #startOf(key: string, build: () => Rules | undefined): Position | undefined {
    const known = this.#starts.get(key);
    if (known !== undefined) return known;
    const rules = build();
    if (rules === undefined) return undefined;
    const start = this.#begin(rules);
    this.#starts.set(key, start);
    return start;
  }

  #begin(rules: Rules): Position {
    if (this.#grammar !== undefined) return this.#grammar.startOf(rules);
    this.#grammar = new Grammar(rules);
    return this.#grammar.start;
  }
}
