/**
 * What an answer has to look like, as grammars: calls with the arguments their tools take, JSON under a schema, or one
 * of both. How the template writes a call is `dialect.ts`'s, what a schema allows `json_schema.ts`'s.
 */
import type { GenerationRequest } from "../../inference/request.ts";
import { mayCall, mustCall } from "../../inference/tool_choice.ts";
import { markerSymbols, notationOf, partSymbols } from "./argument_notation.ts";
import { innerMarker } from "./call_parser.ts";
import type { CallBeginning } from "./parser_options.ts";
import type { CallForm, CallPart, Dialect } from "../chat/dialect/dialect.ts";
import { type Marker, type MarkerPart, textOf } from "../chat/dialect/marker.ts";
import type { GrammarSymbol, Rules } from "../../grammar/rules.ts";
import { GrammarBuilder } from "../../grammar/grammar_builder.ts";
import { compileSchemaInPieces, type Notation } from "../../grammar/json_schema/json_schema.ts";
import type { Work } from "../../work/work.ts";
import { withControlNames } from "../chat/dialect/control_text.ts";

/** What of a request binds the answer. */
export type BindingRequest = Pick<GenerationRequest, "tools" | "toolChoice" | "responseSchema">;

/** A tool's place in the request, and keywords of its schema that are not enforced; nothing else that was sent. */
export interface Unenforced {
  readonly place: number;
  readonly keywords: readonly string[];
}

/** The grammars of one request. */
export class AnswerRules {
  readonly #builder = new GrammarBuilder();
  readonly #dialect: Dialect;
  readonly #required: boolean;
  /** By the tool's name: its place, and keywords of its schema that are not enforced while a call is written. */
  readonly unenforced = new Map<string, Unenforced>();
  #calls: CallSymbols | undefined;
  #response: GrammarSymbol[] | undefined;

  private constructor(required: boolean, dialect: Dialect) {
    this.#required = required;
    this.#dialect = dialect;
  }

  /**
   * Compile what a request asks for.
   *
   * @throws {GrammarError} If a schema cannot be compiled; the message names the path.
   */
  static *of(
    request: BindingRequest,
    dialect: Dialect,
    rename: (name: string) => string = (name) => name,
  ): Work<AnswerRules> {
    const { tools, toolChoice, responseSchema } = request;
    const rules = new AnswerRules(mustCall(toolChoice), dialect);
    if (dialect.call !== undefined && tools.some((tool) => mayCall(tool, toolChoice))) {
      rules.#calls = yield* rules.#callSymbols(request, dialect.call, rename);
    }
    if (responseSchema !== undefined) {
      rules.#response = yield* compileSchemaInPieces(responseSchema, {
        builder: rules.#builder,
        path: "response_format.schema",
        isClosed: true,
      });
    }
    return rules;
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
    const { channels, text } = this.#dialect;
    const final = channels === undefined || after === "header" ? [] : this.#symbols(channels.write.final);
    const frames = channels === undefined ? text?.opens.map((marker) => this.#symbols(marker)) ?? [] : [];
    const frame = frames.length === 0 ? [] : builder.choice([...frames, []]);
    const response = this.#response === undefined ? [] : [[...final, ...this.#response]];
    const calls = this.#calls === undefined ? [] : [this.#calls.first];
    const answer = [...frame, ...builder.choice(this.#required ? calls : [...calls, ...response])];
    if (channels !== undefined) {
      return builder.build(after === "thought" ? [...this.#symbols(channels.write.start), ...answer] : answer);
    }
    if (after !== "thought" && !this.#required) return builder.build(answer);
    return builder.build([...builder.choice([[], ...SPACES.map((space) => builder.text(space))]), ...answer]);
  }

  /**
   * What follows the beginning of a call.
   *
   * @returns `undefined` if it is none that may come.
   */
  restOf(begun: CallBeginning): Rules | undefined {
    const { rest, call, named, inputs } = this.#calls ?? {};
    const symbols = { marker: rest, call, name: named, arguments: inputs?.get(begun.tool ?? "") }[begun.with];
    return symbols === undefined ? undefined : this.#builder.build(symbols);
  }

  *#callSymbols(
    { tools, toolChoice }: BindingRequest,
    form: CallForm,
    rename: (name: string) => string,
  ): Work<CallSymbols> {
    const builder = this.#builder;
    const { marker, head, tail, sectionOpen, sectionClose, between, several, ids, object } = form;
    const follows = tail.map((part) => part.type === "text" ? withControlNames(textOf(part.text)) : "").join("");
    const notation: Notation = {
      ...notationOf(form.arguments, follows, builder),
      ...(form.sorted ? { sorted: true } : {}),
    };
    const laterId = form.optionalId === undefined ? [] : builder.optional([
      ...builder.text(`, "${form.optionalId}": "`),
      ...partSymbols([{ type: "id" }], { name: "", ids }, builder),
      ...builder.text('"'),
    ]);
    const nameAt = head.findIndex(({ type }) => type === "name");
    const { channels } = this.#dialect;
    const afterName = channels?.write.afterName ?? [];
    const bodies: { readonly name: string; readonly input: GrammarSymbol[]; readonly named: GrammarSymbol[] }[] = [];
    for (const [index, tool] of tools.entries()) {
      if (!mayCall(tool, toolChoice)) continue;
      const name = object === undefined ? rename(tool.name) : JSON.stringify(rename(tool.name)).slice(1, -1);
      const input = [
        ...yield* compileSchemaInPieces({ ...tool.inputSchema, type: "object" }, {
          builder,
          path: `tools[${index}].input_schema`,
          notation,
          isClosed: true,
          isTool: true,
          onUnenforced: (_, keyword) => this.#leave(tool.name, index, keyword),
        }),
        ...laterId,
        // Some templates write a line for arguments that are none.
        ...(form.arguments.type === "elements" ? builder.optional(builder.text("\n")) : []),
        ...partSymbols(tail, { name, ids }, builder),
      ];
      const header = partSymbols(head.slice(nameAt), { name, ids }, builder);
      const headers = [header, ...afterName.map((after) => [...builder.text(name), ...this.#symbols(after)])];
      bodies.push({ name: rename(tool.name), input, named: [...builder.choice(headers), ...input] });
    }
    const beforeName = head.slice(0, nameAt);
    const before = partSymbols(beforeName, { name: "", ids }, builder);
    const named = builder.choice(bodies.map(({ named }) => named));
    const body = [...before, ...named];
    const further = several ? builder.repeat([...markerSymbols(between, builder), ...body], 0, Infinity) : [];
    // What follows the last call in the template may begin as what comes between two, and need not come at all.
    const [close, space] = splitSpace(sectionClose);
    const spaces = space !== "" ? [space] : several && sectionClose.length === 0 ? SPACES : [];
    const after = spaces.length === 0 ? [] : builder.choice([[], ...spaces.map((text) => builder.text(text))]);
    const end = [...further, ...this.#symbols(close), ...after];
    const header = channels === undefined
      ? []
      : builder.choice([[], builder.text(" "), [...this.#symbols(channels.write.call), ...builder.text(" ")]]);
    return {
      first: [...header, ...this.#symbols(sectionOpen), ...body, ...end],
      // A call that is nothing but JSON is known by all that comes before the name.
      rest: marker.length === 0 ? [...named, ...end] : [
        ...this.#behind([{ type: "text", text: sectionOpen }, ...beforeName], textOf(marker), ids),
        ...named,
        ...end,
      ],
      // What has not begun may end all the same.
      call: [
        ...this.#behind(beforeName, innerMarker(form), ids),
        ...named,
        ...further,
        ...builder.optional(this.#symbols(close)),
      ],
      named: [...named, ...end],
      inputs: new Map(bodies.map(({ name, input }) => [name, [...input, ...end]])),
    };
  }

  /** A tool's odd schema does not refuse the others: a call of it is looked at when it is there. */
  #leave(tool: string, place: number, keyword: string): void {
    const { keywords = [] } = this.unenforced.get(tool) ?? {};
    this.unenforced.set(tool, { place, keywords: [...new Set([...keywords, keyword])] });
  }

  /** What is left of the parts before a name behind the text that they begin with. */
  #behind(parts: readonly CallPart[], begin: string, ids: CallForm["ids"]): GrammarSymbol[] {
    const holeAt = parts.findIndex(({ type }) => type !== "text");
    const length = holeAt < 0 ? parts.length : holeAt;
    const text = parts.slice(0, length).flatMap((part) => part.type === "text" ? part.text : []);
    const rest = partSymbols(parts.slice(length), { name: "", ids }, this.#builder);
    return [...this.#symbols(cutOff(text, begin)), ...rest];
  }

  #symbols(marker: Marker): GrammarSymbol[] {
    return markerSymbols(marker, this.#builder);
  }
}

/** What models put before a call, or after a thought. */
const SPACES = ["\n", "\n\n", " "];

/** A first call with all that may follow it. */
interface CallSymbols {
  /** From the answer's beginning on. */
  readonly first: GrammarSymbol[];
  /** From the marker on. */
  readonly rest: GrammarSymbol[];
  /** From the token that each call of a section begins with on. */
  readonly call: GrammarSymbol[];
  /** From the name on. */
  readonly named: GrammarSymbol[];
  /** From the arguments on, by the tool's name. */
  readonly inputs: ReadonlyMap<string, GrammarSymbol[]>;
}

/** A marker, and the space that it ends with. */
function splitSpace(marker: Marker): readonly [Marker, string] {
  const last = marker.at(-1);
  if (typeof last !== "string") return [marker, ""];
  const text = last.trimEnd();
  return [[...marker.slice(0, -1), ...(text === "" ? [] : [text])], last.slice(text.length)];
}

/** A marker without the text that it begins with, space in both for nothing. */
function cutOff(whole: Marker, begin: string): Marker {
  const parts: MarkerPart[] = [...whole];
  let left = begin.replace(/\s+/g, "").length;
  while (left > 0) {
    const part = parts.shift();
    if (part === undefined) return [];
    const own = typeof part === "string" ? part : part.text;
    let at = 0;
    for (; at < own.length && left > 0; at++) if ((own[at] as string).trim() !== "") left--;
    if (typeof part === "string" && at < own.length && left === 0) return [own.slice(at), ...parts];
  }
  return parts;
}
