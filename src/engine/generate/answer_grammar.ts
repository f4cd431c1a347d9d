/**
 * Grammar shared by all answers to requests with the same tools and schemas, with a start state for the whole answer
 * and one after each beginning of a call. Its compiled states and masks are shared too.
 */
import type { AnswerRules } from "../answer/answer_rules.ts";
import type { Rules } from "../../grammar/rules.ts";
import { Grammar } from "../../grammar/grammar.ts";
import type { Position } from "../../grammar/grammar_state.ts";
import type { Compiled } from "../../grammar/grammars.ts";
import type { Work } from "../../work/work.ts";
import type { CallBeginning } from "../answer/parser_options.ts";

/** What precedes a constrained answer. */
export type Before = Parameters<AnswerRules["whole"]>[0];

export class AnswerGrammar implements Compiled {
  readonly rules: AnswerRules;
  readonly #starts = new Map<string, Position>();
  #grammar: Grammar | undefined;

  private constructor(rules: AnswerRules) {
    this.rules = rules;
  }

  /** Compile the grammar with the start states needed first. */
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

  /** The grammar to follow; throws if there is no constraint. */
  get grammar(): Grammar {
    if (this.#grammar === undefined) throw new Error("This answer has no grammar");
    return this.#grammar;
  }

  /** Start state of the whole answer. */
  whole(before: Before): Position {
    return this.#startOf(before, () => this.rules.whole(before)) as Position;
  }

  /**
   * State after the beginning of a call.
   *
   * @returns `undefined` if this call is not allowed.
   */
  restOf(begun: CallBeginning): Position | undefined {
    return this.#startOf(`${begun.with} ${begun.tool ?? ""}`, () => this.rules.restOf(begun));
  }

  /** Compiles each start once. */
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
