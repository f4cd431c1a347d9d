/**
 * State of an answer during generation: which tokens are allowed next, what a token means, and whether the answer is
 * over. Driven by the scheduler; `parser.ts` parses the text, `answer_rules.ts` builds the grammars.
 */
import type { FinishReason, TokenLogprob, TokenProbability } from "../../inference/events.ts";
import type { JsonObject } from "../../inference/request.ts";
import type { Allowed, Constraint, Forced } from "../../grammar/constraint.ts";
import type { EngineEvent } from "../ipc/messages.ts";
import type { Work } from "../../work/work.ts";
import type { CallBeginning, Meaning } from "./parser_options.ts";
import type { Parser } from "./parser.ts";
import { withControlNames, withoutControls } from "../chat/dialect/control_text.ts";
import { Characters } from "./text.ts";
import { TextLogprobs, type TokenOdds } from "./text_logprobs.ts";

export interface Vocabulary {
  readonly vocabularySize: number;
  /** Bytes of a token in the answer. */
  piece(token: number): Uint8Array;
  /** Text of a token; `undefined` unless it is whole characters. */
  pieceText(token: number): string | undefined;
  endsAnswer(token: number): boolean;
}

/** Constraints of an answer. Each is created when first needed. */
export interface Binding {
  readonly whole?: () => Constraint | undefined;
  /** Constraint after a thought; absent if the model may not think. */
  readonly afterThought?: () => Constraint | undefined;
  /** Opens a thought that may precede the constrained part. */
  readonly thoughtOpen?: string;
  /** Constraint after the beginning of a call; `undefined` if that call is not allowed. */
  readonly restOf?: (begun: CallBeginning) => Constraint | undefined;
  readonly noCalls?: boolean;
}

export interface AnswerOptions {
  readonly id: number;
  readonly vocabulary: Vocabulary;
  readonly parser: Parser;
  /** End tokens in addition to the vocabulary's own. */
  readonly endTokens: ReadonlySet<number>;
  /** Control tokens that the parser should see, in its representation. */
  readonly controls?: ReadonlyMap<number, string>;
  /** Tool names of the request by the names that the model writes. */
  readonly names?: ReadonlyMap<string, string>;
  readonly binding?: Binding;
  /** A call is required. */
  readonly required?: boolean;
  /** Tools, by request name, whose schema decoding does not fully enforce. */
  readonly unenforced?: { has(tool: string): boolean };
  /** Tokenizes forced text after the answer's last token; absent: every token is sampled. */
  readonly forward?: (forced: Forced, before: number | undefined) => readonly number[];
}

export interface Said {
  readonly thinking: string;
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly input: JsonObject }[];
}

/** The scheduler's view of an answer. */
export interface Answer {
  /** Constraint on the next token; absent: any token. */
  readonly constraint: Allowed | undefined;
  ends(token: number): boolean;
  /** Tokens that the grammar forces next; often none. */
  forced?(): readonly number[];
  /**
   * Append a token that does not end the answer.
   *
   * @param events Receives the resulting events.
   * @param odds Its log probabilities, if requested.
   * @returns Whether the answer ended by itself.
   */
  accept(token: number, events: EngineEvent[], odds?: TokenOdds): boolean;
  readonly said?: Said;
  /**
   * @param cut Whether it was cut at the token limit.
   * @param events Receives text that was held back.
   * @returns How it ended; `undefined` if it failed, which is reported as an event.
   */
  finish(cut: boolean, events: EngineEvent[]): { done: FinishReason; unsatisfied?: true } | undefined;
}

export class ModelAnswer implements Answer {
  readonly #options: AnswerOptions;
  readonly #vocabulary: Vocabulary;
  readonly #parser: Parser;
  readonly #endTokens: ReadonlySet<number>;
  readonly #controls: ReadonlyMap<number, string> | undefined;
  readonly #binding: Binding;
  #last: number | undefined;
  readonly #characters = new Characters();
  readonly #meaning: Sink;
  /** Constraint on the next token. */
  #bound: Constraint | undefined;
  /** Prefix of a possible thought marker, in place of the constrained part. */
  #lead: string | undefined;
  /** Whether the text so far also matches the grammar. */
  #onGrammar = true;
  #wasThinking: boolean;
  #complete = false;
  /** Absent until log probabilities arrive. */
  #logprobs: TextLogprobs | undefined;
  /** Cached constraint after the call beginning that was queried last. */
  #beginning: { readonly key: string; readonly constraint: Constraint | undefined } | undefined;
  /** Token mask of the guard, once computed. */
  #guarded: Uint32Array | undefined;
  readonly #guard: Allowed = {
    allows: (token) => this.#guarded === undefined ? this.#allows(token) : isSet(this.#guarded, token),
    allowed: () => this.#guarded,
    find: () => this.#findGuarded(),
  };

  constructor(options: AnswerOptions) {
    const { vocabulary, parser, endTokens, controls, binding = {} } = options;
    this.#options = options;
    this.#vocabulary = vocabulary;
    this.#parser = parser;
    this.#endTokens = endTokens;
    this.#controls = controls;
    this.#binding = binding;
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
    // A token that ends answers may also close a thought.
    if (this.#parser.thinking && this.#controls?.get(token) === this.#parser.thoughtClose) return false;
    return this.#vocabulary.endsAnswer(token) || this.#endTokens.has(token);
  }

  get said(): Said {
    return this.#meaning.said;
  }

  forced(): readonly number[] {
    // A thought may come instead of the forced text.
    const { forward } = this.#options;
    if (forward === undefined || this.#lead !== undefined) return NO_TOKENS;
    const forced = this.#bound?.forced?.();
    return forced === undefined ? NO_TOKENS : forward(forced, this.#last);
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

  finish(cut: boolean, events: EngineEvent[]): { done: FinishReason; stop?: string; unsatisfied?: true } | undefined {
    const meaning = this.#meaning;
    meaning.events = events;
    const before = events.length;
    this.#parser.finish(cut, meaning);
    if (this.#logprobs !== undefined) this.#tellOdds(events, before);
    if (meaning.failed) {
      const message = "The model wrote a tool call that cannot be parsed";
      events.push({ id: this.#options.id, error: "tool_call_malformed", message });
      return undefined;
    }
    const { ended } = this.#parser;
    if (ended?.kind === "stop") return { done: "stop", stop: withControlNames(ended.text) };
    if (!cut) return { done: meaning.calls > 0 ? "tool_use" : "end" };
    return { done: "length", ...(this.#options.required === true && meaning.calls === 0 ? { unsatisfied: true } : {}) };
  }

  /** Keeps a token's log probabilities until its text is sent; skips tokens that never are text. */
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

  /** Attaches log probabilities to the text events from this index on. */
  #tellOdds(events: EngineEvent[], from: number): void {
    for (let at = from; at < events.length; at++) {
      const event = events[at] as EngineEvent;
      if ("t" in event) events[at] = { ...event, lp: this.#logprobs?.take(event.t) ?? [] };
      else this.#logprobs?.drop();
    }
    if (this.#parser.thinking) this.#logprobs?.drop();
  }

  /** Queries every token; the grammar's own mask is computed first. */
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

  /** Used without a grammar, or if more than the grammar is allowed. */
  #allows(token: number): boolean | undefined {
    const ends = this.ends(token);
    if (this.#lead !== undefined) {
      if (!ends && this.#mayOpenThought(this.#textOf(token))) return true;
      return this.#onGrammar && this.#bound?.allows(token);
    }
    // Constrained text is still to come after the thought.
    if (ends) return this.#binding.whole === undefined;
    const { restOf, noCalls } = this.#binding;
    if (restOf === undefined && noCalls !== true) return true;
    const begun = this.#parser.beginsCall(this.#textOf(token));
    if (begun === undefined) return true;
    if (noCalls === true) return false;
    // Text after the call's beginning must follow its grammar.
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

  /** Switches the constraint when a thought ends or a call begins. */
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

/** Tokens queried per time slice. */
const ASKED_AT_ONCE = 512;

const NO_TOKENS: readonly number[] = [];

function* nothing(): Work<void> {}

function isSet(bits: Uint32Array, at: number): boolean {
  return ((bits[at >> 5] ?? 0) >>> (at & 31) & 1) === 1;
}
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

class Sink implements Meaning {
  readonly #options: AnswerOptions;
  events: EngineEvent[] = [];
  readonly #calls: { readonly name: string; readonly input: JsonObject }[] = [];
  #text = "";
  #thinking = "";
  failed = false;

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  get calls(): number {
    return this.#calls.length;
  }

  get said(): Said {
    return { thinking: this.#thinking, text: this.#text, calls: this.#calls };
  }

  text(text: string): void {
    // Only calls are allowed: text is the remains of a truncated one.
    if (this.#options.required === true) return;
    this.#text += text;
    this.events.push({ id: this.#options.id, t: text });
  }

  thinking(text: string): void {
    this.#thinking += text;
    this.events.push({ id: this.#options.id, think: text });
  }

  call(written: string, input: JsonObject): void {
    const { id, names, unenforced } = this.#options;
    const call = names?.get(written) ?? written;
    this.#calls.push({ name: call, input });
    this.events.push({ id, call, input, ...(unenforced?.has(call) ? { unchecked: true } : {}) });
  }

  textWasThought(): void {
    this.#thinking += this.#text;
    this.#text = "";
    this.events.push({ id: this.#options.id, misread: true });
  }

  malformed(): void {
    this.failed = true;
  }
}
