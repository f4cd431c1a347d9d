/**
 * What an answer has to look like, as grammars: calls with the arguments their tools take, JSON under a schema, or one
 * of both. How the template writes a call is `dialect.ts`'s, what a schema allows `json_schema.ts`'s.
 */
import type { GenerationRequest, Tool } from "../backend/backend.ts";
import type { CallForm, Dialect, Marker } from "./dialect.ts";
import type { Rules, Symbol } from "./gbnf.ts";
import { GrammarBuilder } from "./grammar_builder.ts";

/** What of a request binds the answer. */
export type BindingRequest = Pick<GenerationRequest, "tools" | "toolChoice" | "responseSchema">;

/** The grammars of one request. */
export class AnswerRules {
  readonly #builder = new GrammarBuilder();
  readonly #dialect: Dialect;
  /** A first call with all that may follow it, from the answer's beginning, from the marker and from the name on. */
  readonly #calls: { readonly first: Symbol[]; readonly rest: Symbol[]; readonly named: Symbol[] } | undefined;
  readonly #response: Symbol[] | undefined;
  readonly #required: boolean;

  /**
   * Compile what a request asks for.
   *
   * @throws {GrammarError} If a schema cannot be compiled; the message names the path.
   */
  constructor({ tools, toolChoice, responseSchema }: BindingRequest, dialect: Dialect) {
    this.#dialect = dialect;
    this.#required = toolChoice === "required";
    this.#calls = tools.length === 0 || toolChoice === "none" || dialect.call === undefined
      ? undefined
      : this.#callSymbols(tools, dialect.call);
    this.#response = responseSchema === undefined
      ? undefined
      : this.#builder.json(responseSchema, "response_format.schema");
  }

  /** Whether the answer is bound from its beginning on. */
  get binding(): boolean {
    return this.#required || this.#response !== undefined;
  }

  /** Whether calls may come. */
  get calling(): boolean {
    return this.#calls !== undefined;
  }

  /** A call is what must come. */
  get required(): boolean {
    return this.#required;
  }

  /**
   * The whole answer.
   *
   * @param after What came before: nothing, a message's header, a thought.
   */
  whole(after: "nothing" | "header" | "thought"): Rules {
    const builder = this.#builder;
    const { channels } = this.#dialect;
    const final = channels === undefined || after === "header" ? [] : this.#symbols(channels.write.final);
    const response = this.#response === undefined ? [] : [[...final, ...this.#response]];
    const calls = this.#calls === undefined ? [] : [this.#calls.first];
    const answer = builder.choice(this.#required ? calls : [...calls, ...response]);
    if (after !== "thought") return builder.build(answer);
    if (channels !== undefined) return builder.build([...this.#symbols(channels.write.start), ...answer]);
    return builder.build([...builder.choice([[], builder.text("\n"), builder.text("\n\n")]), ...answer]);
  }

  /** What follows the marker of a call. */
  restOfCall(): Rules {
    return this.#builder.build(this.#calls?.rest ?? []);
  }

  /** What follows all that comes before a call's name. */
  restOfNamed(): Rules {
    return this.#builder.build(this.#calls?.named ?? []);
  }

  #callSymbols(
    tools: readonly Tool[],
    { json, several, write }: CallForm,
  ): { first: Symbol[]; rest: Symbol[]; named: Symbol[] } {
    const builder = this.#builder;
    const bodies = tools.map(({ name, inputSchema }, index) => [
      ...builder.text(json === undefined ? name : JSON.stringify(name).slice(1, -1)),
      ...this.#symbols(write.beforeInput),
      ...builder.json({ ...inputSchema, type: "object" }, `tools[${index}].input_schema`),
      ...this.#symbols(write.suffix),
    ]);
    const body = builder.choice(bodies);
    const further = several
      ? builder.repeat([...this.#symbols(write.between), ...this.#symbols(write.prefix), ...body], 0, Infinity)
      : [];
    const tail = [...further, ...this.#symbols(write.sectionClose)];
    const { channels } = this.#dialect;
    const header = channels === undefined ? [] : [...this.#symbols(channels.write.call), ...builder.text(" ")];
    return {
      first: [...header, ...this.#symbols(write.first), ...body, ...tail],
      rest: [...this.#symbols(write.afterMarker), ...body, ...tail],
      named: [...body, ...tail],
    };
  }

  #symbols(marker: Marker): Symbol[] {
    return marker.flatMap((part) =>
      typeof part === "string" ? this.#builder.text(part) : this.#builder.token(part.token)
    );
  }
}
