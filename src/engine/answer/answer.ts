/**
 * The state of one answer while it is generated: which tokens may come next, what a token means, whether the answer is
 * over. Driven by the scheduler; `parser.ts` reads the text, `answer_rules.ts` builds the grammars.
 */
import type { FinishReason, TokenLogprob, TokenProbability } from "../../inference/events.ts";
import type { JsonObject } from "../../inference/request.ts";
import type { Allowed, Constraint, Forced } from "../../grammar/constraint.ts";
import type { EngineEvent } from "../ipc/messages.ts";
import type { Work } from "../../work/work.ts";
import type { CallBeginning, Meaning } from "./parser_options.ts";
import type { Parser } from "./parser.ts";
import { withoutControls } from "../chat/dialect/control_text.ts";
import { Characters } from "./text.ts";
import { TextLogprobs, type TokenOdds } from "./text_logprobs.ts";

/** What an answer needs of a model. */
export interface Vocabulary {
  /** Tokens it has. */
  readonly vocabularySize: number;
  /** The bytes of a token in the answer. */
  piece(token: number): Uint8Array;
  /** The same as text, where it is whole characters. */
  pieceText(token: number): string | undefined;
  /** Whether a token ends the answer. */
  endsAnswer(token: number): boolean;
}

/** How an answer is bound. Each is called when it is needed first. */
export interface Binding {
  /** From the beginning: to what. */
  readonly whole?: () => Constraint | undefined;
  /** The same after a thought; a model that may not think has none. */
  readonly afterThought?: () => Constraint | undefined;
  /** What opens a thought, which may come before what is bound. */
  readonly thoughtOpen?: string;
  /** From the beginning of a call on; `undefined` if it is none that may come. */
  readonly restOf?: (begun: CallBeginning) => Constraint | undefined;
  /** No call may begin. */
  readonly noCalls?: boolean;
}

/** What an answer is made of. */
export interface AnswerOptions {
  readonly id: number;
  readonly vocabulary: Vocabulary;
  readonly parser: Parser;
  /** Tokens that end the answer in addition to those that always do. */
  readonly endTokens: ReadonlySet<number>;
  /** Control tokens that the parser is to see, as it sees them. */
  readonly controls?: ReadonlyMap<number, string>;
  /** Names of tools as requests have them, by the names that the model writes. */
  readonly names?: ReadonlyMap<string, string>;
  readonly binding?: Binding;
  /** A call has to come. */
  readonly required?: boolean;
  /** Tools, by their names in requests, whose calls may not be valid. */
  readonly unenforced?: { has(tool: string): boolean };
  /**
   * Makes what a grammar forces tokens, after the last token of the answer; absent: every token is asked for.
   */
  readonly forward?: (forced: Forced, before: number | undefined) => readonly number[];
}

/** What an answer said. */
export interface Said {
  readonly thinking: string;
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly input: JsonObject }[];
}

/** What the scheduler has to know of an answer. */
export interface Answer {
  /** What may come next; absent: anything. */
  readonly constraint: Allowed | undefined;
  /** Whether a token ends the answer. */
  ends(token: number): boolean;
  /** Tokens that have to come next, so that nobody needs to be asked for them. Often none. */
  forced?(): readonly number[];
  /**
   * A token was chosen, and does not end the answer.
   *
   * @param events Gets what it means.
   * @param odds How likely it was, where the request wants to know it with the text.
   * @returns Whether the answer ended in itself.
   */
  accept(token: number, events: EngineEvent[], odds?: TokenOdds): boolean;
  /** What was told of the answer. */
  readonly said?: Said;
  /**
   * The answer is over.
   *
   * @param cut There are no tokens left for it.
   * @param events Gets what was held back.
   * @returns How it ended; `undefined` if it failed, which the events say.
   */
  finish(cut: boolean, events: EngineEvent[]): { done: FinishReason; unsatisfied?: true } | undefined;
}

/** One answer. */
export class ModelAnswer implements Answer {
  readonly #id: number;
  readonly #vocabulary: Vocabulary;
  readonly #parser: Parser;
  readonly #endTokens: ReadonlySet<number>;
  readonly #controls: ReadonlyMap<number, string> | undefined;
  readonly #binding: Binding;
  readonly #required: boolean;
  readonly #forward: AnswerOptions["forward"];
  /** The last token. */
  #last: number | undefined;
  readonly #characters = new Characters();
  readonly #meaning: Sink;
  /** What the next token has to follow. */
  #bound: Constraint | undefined;
  /** What came of a text that may open a thought instead of what is bound. */
  #lead: string | undefined;
  /** While the beginnings of both agree: the grammar has not been left. */
  #onGrammar = true;
  #wasThinking: boolean;
  #complete = false;
  /** Absent until the likelihood of a token was told. */
  #logprobs: TextLogprobs | undefined;
  /** What follows the beginning of a call that was asked about last. */
  #beginning: { readonly key: string; readonly constraint: Constraint | undefined } | undefined;
  /** What the guard allows next, once it has been found out. */
  #guarded: Uint32Array | undefined;
  readonly #guard: Allowed = {
    allows: (token) => this.#guarded === undefined ? this.#allows(token) : isSet(this.#guarded, token),
    allowed: () => this.#guarded,
    find: () => this.#findGuarded(),
  };

  constructor(options: AnswerOptions) {
    const { id, vocabulary, parser, endTokens, controls, binding = {}, required = false, forward } = options;
    this.#id = id;
    this.#vocabulary = vocabulary;
    this.#parser = parser;
    this.#endTokens = endTokens;
    this.#controls = controls;
    this.#binding = binding;
    this.#required = required;
    this.#forward = forward;
    this.#meaning = new Sink(options);
    this.#wasThinking = parser.thinking;
    if (parser.thinking) return;
    this.#bound = binding.whole?.();
    if (this.#bound !== undefined && binding.thoughtOpen !== undefined) this.#lead = "";
  }

  get constraint(): Allowed | undefined {
    if (this.#lead !== undefined) return this.#guard;
    if (this.#bound !== undefined) return this.#bound;
    const { whole, restOf, noCalls } = this.#binding;
    return whole !== undefined || restOf !== undefined || noCalls === true ? this.#guard : undefined;
  }

  ends(token: number): boolean {
    // The token that ends an answer may end a thought too.
    if (this.#parser.thinking && this.#controls?.get(token) === this.#parser.thoughtClose) return false;
    return this.#vocabulary.endsAnswer(token) || this.#endTokens.has(token);
  }

  get said(): Said {
    return this.#meaning.said;
  }

  forced(): readonly number[] {
    // A thought may come instead of what is bound.
    if (this.#forward === undefined || this.#lead !== undefined) return NO_TOKENS;
    const forced = this.#bound?.forced?.();
    return forced === undefined ? NO_TOKENS : this.#forward(forced, this.#last);
  }

  accept(token: number, events: EngineEvent[], odds?: TokenOdds): boolean {
    this.#last = token;
    const whole = this.#vocabulary.pieceText(token);
    const text = whole === undefined
      ? this.#characters.push(this.#vocabulary.piece(token))
      : this.#characters.pushText(this.#controls?.get(token) ?? whole);
    this.#guarded = undefined;
    if (this.#bound !== undefined) this.#follow(token, text);
    const begins = this.#bound === undefined && this.#binding.restOf !== undefined;
    const rest = begins ? this.#parser.beginsCall(text)?.rest : undefined;
    this.#meaning.events = events;
    if (odds !== undefined) this.#noteOdds(token, text, odds);
    const before = events.length;
    this.#parser.push(text, this.#meaning);
    if (this.#logprobs !== undefined) this.#tellOdds(events, before);
    if (this.#meaning.failed || this.#parser.ended !== undefined) return true;
    this.#rebind(rest ?? "");
    this.#complete = this.#lead === undefined && this.#bound?.complete === true;
    return this.#complete;
  }

  finish(cut: boolean, events: EngineEvent[]): { done: FinishReason; unsatisfied?: true } | undefined {
    const meaning = this.#meaning;
    meaning.events = events;
    const before = events.length;
    this.#parser.finish(cut, meaning);
    if (this.#logprobs !== undefined) this.#tellOdds(events, before);
    if (meaning.failed) {
      events.push({
        id: this.#id,
        error: "tool_call_malformed",
        message: "The model wrote a tool call that cannot be read",
      });
      return undefined;
    }
    if (this.#parser.ended === "stop") return { done: "stop" };
    if (!cut) return { done: meaning.calls > 0 ? "tool_use" : "end" };
    return { done: "length", ...(this.#required && meaning.calls === 0 ? { unsatisfied: true } : {}) };
  }

  /** Keep how likely a token was until its text is sent; a token that is no text in any case is none of it. */
  #noteOdds(token: number, text: string, { logprob, top }: TokenOdds): void {
    const said = withoutControls(text);
    if (text !== "" && said === "") return;
    this.#logprobs ??= new TextLogprobs();
    const entry: TokenLogprob = {
      ...this.#probability(token, logprob),
      top: top.map(([token, logprob]) => this.#probability(token, logprob)),
    };
    this.#logprobs.add(entry, said);
  }

  #probability(id: number, logprob: number): TokenProbability {
    const bytes = this.#vocabulary.piece(id);
    return { token: this.#vocabulary.pieceText(id) ?? decoder.decode(bytes), id, bytes: [...bytes], logprob };
  }

  /** Give the texts among the newest events the tokens behind them. */
  #tellOdds(events: EngineEvent[], from: number): void {
    for (let at = from; at < events.length; at++) {
      const event = events[at] as EngineEvent;
      if ("t" in event) events[at] = { ...event, lp: this.#logprobs?.take(event.t) ?? [] };
      else this.#logprobs?.drop();
    }
    if (this.#parser.thinking) this.#logprobs?.drop();
  }

  /** Ask for every token in turn; what a grammar allows beside, it finds out first. */
  *#findGuarded(): Work<void> {
    const { vocabularySize } = this.#vocabulary;
    if (this.#lead !== undefined && this.#onGrammar) yield* this.#bound?.find?.() ?? nothing();
    const allowed = new Uint32Array((vocabularySize + 31) >> 5);
    for (let token = 0; token < vocabularySize; token++) {
      if (token % ASKED_AT_ONCE === ASKED_AT_ONCE - 1) yield;
      if (this.#allows(token) === true) allowed[token >> 5] = (allowed[token >> 5] as number) | (1 << (token & 31));
    }
    this.#guarded = allowed;
  }

  /** Asked where there is no grammar, or more than a grammar, to follow. */
  #allows(token: number): boolean | undefined {
    const ends = this.ends(token);
    if (this.#lead !== undefined) {
      if (!ends && this.#mayOpenThought(this.#textOf(token))) return true;
      return this.#onGrammar && this.#bound?.allows(token);
    }
    // What is bound comes after the thought.
    if (ends) return this.#binding.whole === undefined;
    const { restOf, noCalls } = this.#binding;
    if (restOf === undefined && noCalls !== true) return true;
    const begun = this.#parser.beginsCall(this.#textOf(token));
    if (begun === undefined) return true;
    if (noCalls === true) return false;
    // A token that goes beyond the beginning is bound from there on.
    return begun.rest === "" || this.#atBeginning(begun)?.allowsText?.(begun.rest) === true;
  }

  #atBeginning({ with: kind, tool }: CallBeginning): Constraint | undefined {
    const key = `${kind} ${tool ?? ""}`;
    if (this.#beginning?.key !== key) {
      this.#beginning = {
        key,
        constraint: this.#binding.restOf?.({ with: kind, ...(tool === undefined ? {} : { tool }) }),
      };
    }
    return this.#beginning.constraint;
  }

  #follow(token: number, text: string): void {
    if (this.#lead === undefined) {
      this.#bound?.accept(token);
      return;
    }
    this.#onGrammar &&= this.#bound?.allows(token) === true;
    if (this.#onGrammar) this.#bound?.accept(token);
    this.#lead = this.#mayOpenThought(text) ? this.#lead + text : undefined;
  }

  #mayOpenThought(text: string): boolean {
    return text !== "" && this.#binding.thoughtOpen?.startsWith(this.#lead + text) === true;
  }

  /** Where a thought ends or a call begins, another grammar holds. */
  #rebind(begun: string): void {
    const { thinking } = this.#parser;
    if (thinking) {
      this.#bound = undefined;
      this.#lead = undefined;
    } else if (this.#bound === undefined && this.#parser.callBegun !== undefined) {
      this.#bound = this.#binding.restOf?.(this.#parser.callBegun);
      if (begun !== "") this.#bound?.acceptText?.(begun);
    } else if (this.#wasThinking) {
      this.#bound = this.#binding.afterThought?.();
    }
    this.#wasThinking = thinking;
  }

  #textOf(token: number): string {
    return this.#controls?.get(token) ?? this.#vocabulary.pieceText(token) ?? "";
  }
}

/** Tokens that are asked about in a piece of work. */
const ASKED_AT_ONCE = 512;

const NO_TOKENS: readonly number[] = [];

function* nothing(): Work<void> {}

function isSet(bits: Uint32Array, at: number): boolean {
  return ((bits[at >> 5] ?? 0) >>> (at & 31) & 1) === 1;
}
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Makes events of what an answer means. */
class Sink implements Meaning {
  readonly #id: number;
  /** Nothing but calls may come: text is what is left of one that was cut. */
  readonly #callsOnly: boolean;
  readonly #names: ReadonlyMap<string, string> | undefined;
  readonly #unenforced: AnswerOptions["unenforced"];
  events: EngineEvent[] = [];
  readonly #calls: { readonly name: string; readonly input: JsonObject }[] = [];
  #text = "";
  #thinking = "";
  failed = false;

  constructor({ id, required = false, names, unenforced }: AnswerOptions) {
    this.#id = id;
    this.#callsOnly = required;
    this.#names = names;
    this.#unenforced = unenforced;
  }

  /** How many calls came. */
  get calls(): number {
    return this.#calls.length;
  }

  get said(): Said {
    return { thinking: this.#thinking, text: this.#text, calls: this.#calls };
  }

  text(text: string): void {
    if (this.#callsOnly) return;
    this.#text += text;
    this.events.push({ id: this.#id, t: text });
  }

  thinking(text: string): void {
    this.#thinking += text;
    this.events.push({ id: this.#id, think: text });
  }

  call(written: string, input: JsonObject): void {
    const call = this.#names?.get(written) ?? written;
    this.#calls.push({ name: call, input });
    this.events.push({ id: this.#id, call, input, ...(this.#unenforced?.has(call) ? { unchecked: true } : {}) });
  }

  textWasThought(): void {
    this.#thinking += this.#text;
    this.#text = "";
    this.events.push({ id: this.#id, misread: true });
  }

  malformed(): void {
    this.failed = true;
  }
}
