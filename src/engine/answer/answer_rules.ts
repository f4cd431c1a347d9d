/**
 * Grammars of answers: calls with the arguments of their tools, JSON under a schema, or either. `dialect.ts` describes
 * the call syntax, `json_schema.ts` compiles schemas.
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

/** The parts of a request that constrain its answer. */
export type BindingRequest = Pick<GenerationRequest, "tools" | "toolChoice" | "responseSchema">;

/** A tool by index, and keywords of its schema that decoding does not enforce; no request text. */
export interface Unenforced {
  readonly place: number;
  readonly keywords: readonly string[];
}

export class AnswerRules {
  readonly #builder = new GrammarBuilder();
  readonly #dialect: Dialect;
  /** Whether a call is required. */
  readonly required: boolean;
  /** By tool name: its index, and schema keywords that decoding does not enforce. */
  readonly unenforced = new Map<string, Unenforced>();
  #calls: CallSymbols | undefined;
  #response: GrammarSymbol[] | undefined;

  private constructor(required: boolean, dialect: Dialect) {
    this.required = required;
    this.#dialect = dialect;
  }

  /** @throws {GrammarError} If a schema cannot be compiled; the message names the path. */
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

  /** Whether the answer is constrained from its start. */
  get binding(): boolean {
    return this.required || this.#response !== undefined;
  }

  /** Whether calls are allowed. */
  get calling(): boolean {
    return this.#calls !== undefined;
  }

  /** @param after What came before: nothing, a message header or a thought. */
  whole(after: "nothing" | "header" | "thought"): Rules {
    const builder = this.#builder;
    const { channels, text } = this.#dialect;
    const final = channels === undefined || after === "header" ? [] : this.#symbols(channels.write.final);
    const frames = channels === undefined ? text?.opens.map((marker) => this.#symbols(marker)) ?? [] : [];
    const frame = frames.length === 0 ? [] : builder.choice([...frames, []]);
    const response = this.#response === undefined ? [] : [[...final, ...this.#response]];
    const calls = this.#calls === undefined ? [] : [this.#calls.first];
    const answer = [...frame, ...builder.choice(this.required ? calls : [...calls, ...response])];
    if (channels !== undefined) {
      return builder.build(after === "thought" ? [...this.#symbols(channels.write.start), ...answer] : answer);
    }
    if (after !== "thought" && !this.required) return builder.build(answer);
    return builder.build([...builder.choice([[], ...SPACES.map((space) => builder.text(space))]), ...answer]);
  }

  /**
   * Grammar after the beginning of a call.
   *
   * @returns `undefined` if this call is not allowed.
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
        // Some templates write an empty line for empty arguments.
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
    // The template's text after the last call may share a prefix with the separator, and is optional.
    const [close, space] = splitSpace(sectionClose);
    const spaces = space !== "" ? [space] : several && sectionClose.length === 0 ? SPACES : [];
    const after = spaces.length === 0 ? [] : builder.choice([[], ...spaces.map((text) => builder.text(text))]);
    const end = [...further, ...this.#symbols(close), ...after];
    const header = channels === undefined
      ? []
      : builder.choice([[], builder.text(" "), [...this.#symbols(channels.write.call), ...builder.text(" ")]]);
    return {
      first: [...header, ...this.#symbols(sectionOpen), ...body, ...end],
      // A bare JSON call is only recognised once everything before the name has come.
      rest: marker.length === 0 ? [...named, ...end] : [
        ...this.#behind([{ type: "text", text: sectionOpen }, ...beforeName], textOf(marker), ids),
        ...named,
        ...end,
      ],
      // The section may end even if it was not opened.
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

  /** An unsupported schema must not reject other tools: calls of this one are validated when complete. */
  #leave(tool: string, place: number, keyword: string): void {
    const { keywords = [] } = this.unenforced.get(tool) ?? {};
    this.unenforced.set(tool, { place, keywords: [...new Set([...keywords, keyword])] });
  }

  /** Rest of the parts before a name, after the text they begin with. */
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

/** Whitespace that models write before a call or after a thought. */
const SPACES = ["\n", "\n\n", " "];

/** The first call and what may follow, from different starting points. */
interface CallSymbols {
  /** From the start of the answer. */
  readonly first: GrammarSymbol[];
  /** From the marker. */
  readonly rest: GrammarSymbol[];
  /** From the token that begins each call of a section. */
  readonly call: GrammarSymbol[];
  /** From the name. */
  readonly named: GrammarSymbol[];
  /** From the arguments, by tool name. */
  readonly inputs: ReadonlyMap<string, GrammarSymbol[]>;
}

/** Splits trailing whitespace off a marker. */
function splitSpace(marker: Marker): readonly [Marker, string] {
  const last = marker.at(-1);
  if (typeof last !== "string") return [marker, ""];
  const text = last.trimEnd();
  return [[...marker.slice(0, -1), ...(text === "" ? [] : [text])], last.slice(text.length)];
}

/** Removes a prefix from a marker, ignoring whitespace. */
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
