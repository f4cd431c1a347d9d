/**
 * Turns a request into a job of the scheduler: the prompt's tokens, and an answer with its constraints. Decides what of a
 * request becomes a grammar, and what the parser looks for. All of it is work in pieces: it is done before the request has
 * a slot, while other streams go on.
 */
import type { GenerationRequest } from "../../inference/request.ts";
import { mayCall } from "../../inference/tool_choice.ts";
import { type AnswerOptions, type Binding, ModelAnswer } from "../answer/answer.ts";
import { ForcedTokens } from "./ahead/forced_tokens.ts";
import { nextTurn } from "./ahead/next_turn.ts";
import { AnswerGrammar } from "./answer_grammar.ts";
import { AnswerRules, type Unenforced } from "../answer/answer_rules.ts";
import { Parser } from "../answer/parser.ts";
import type { ParserOptions } from "../answer/parser_options.ts";
import type { Chat, Prompt } from "../chat/chat.ts";
import type { Dialect } from "../chat/dialect/dialect.ts";
import { textOf } from "../chat/dialect/marker.ts";
import type { Constraint } from "../../grammar/constraint.ts";
import { parseGbnf } from "../../grammar/gbnf.ts";
import { Grammar } from "../../grammar/grammar.ts";
import type { Position } from "../../grammar/grammar_state.ts";
import { GrammarConstraint } from "../../grammar/grammar_constraint.ts";
import { Grammars } from "../../grammar/grammars.ts";
import type { Model } from "../native/model.ts";
import type { Job } from "./running.ts";
import { VocabularyIndex } from "../../grammar/vocabulary/vocabulary_index.ts";
import { SharedWork, type Work } from "../../work/work.ts";

export type { Unenforced } from "../answer/answer_rules.ts";

/** What an answer needs of a model. */
export type AnswerModel = Pick<
  Model,
  "piece" | "pieceText" | "endsAnswer" | "vocabularySize" | "tokenize" | "spacePrefix"
>;

/** How answers are generated. */
export interface AnswersOptions {
  /** What a grammar forces is not sampled; absent: it is so. */
  readonly fastForward?: boolean;
  /** The next turn of a conversation is prepared when an answer has ended; absent: it is so. */
  readonly nextTurn?: boolean;
  /** Told what of a tool's schema is not enforced while a call is written. */
  readonly onUnenforced?: (what: Unenforced) => void;
}

/** Makes jobs of requests for one model. */
export class Answers {
  readonly #model: AnswerModel;
  readonly #chat: Chat;
  /** Of tools and schemas, and as they were sent. */
  readonly #asked = new Grammars<AnswerGrammar>();
  readonly #sent = new Grammars<Grammar>();
  readonly #onUnenforced: (what: Unenforced) => void;
  #index: SharedWork<VocabularyIndex> | undefined;
  readonly #fastForward: boolean;
  readonly #nextTurn: boolean;
  #forced: ForcedTokens | undefined;

  constructor(model: AnswerModel, chat: Chat, options: AnswersOptions = {}) {
    const { fastForward = true, nextTurn = true, onUnenforced = () => {} } = options;
    this.#model = model;
    this.#chat = chat;
    this.#fastForward = fastForward;
    this.#nextTurn = nextTurn;
    this.#onUnenforced = onUnenforced;
  }

  /**
   * Make a request a job. The prompt comes first: one that does not fit is refused before anything is compiled for it.
   *
   * @throws {PromptError} If the model cannot take the conversation.
   * @throws {AttachmentError} If there is an attachment.
   * @throws {GrammarError} If the grammar or a schema cannot be used.
   */
  *job(id: number, request: GenerationRequest): Work<Job> {
    const { sampling, maxTokens, logprobs } = request;
    const prompt = yield* this.#chat.prompt(request);
    const answer =
      yield* (request.grammar === undefined
        ? this.#answer(id, request, prompt)
        : this.#written(id, { ...request, grammar: request.grammar }, prompt));
    return {
      id,
      prompt: prompt.tokens,
      sampling,
      maxTokens,
      ...(logprobs === undefined ? {} : { logprobs }),
      ...(this.#nextTurn ? { nextTurn: (said) => nextTurn(this.#chat, request, said) } : {}),
      answer,
    };
  }

  /** An answer in the family's own form. */
  *#answer(id: number, request: GenerationRequest, prompt: Prompt): Work<ModelAnswer> {
    const { dialect } = this.#chat;
    const names = this.#chat.names(request);
    const rename = (name: string): string => names.get(name) ?? name;
    const grammar = yield* this.#asked.of(
      yield* keyOf(request),
      function* (): Work<AnswerGrammar> {
        return yield* AnswerGrammar.of(yield* AnswerRules.of(request, dialect, rename));
      },
    );
    for (const what of grammar.unenforced.values()) this.#onUnenforced(what);
    const index = grammar.binding || grammar.calling ? yield* this.#vocabulary(prompt) : undefined;
    const bind = (start: Position | undefined): Constraint | undefined =>
      start === undefined || index === undefined ? undefined : new GrammarConstraint(grammar.grammar, index, start);
    return new ModelAnswer({
      id,
      vocabulary: this.#model,
      parser: this.#parser(request, prompt, {
        dialect,
        start: prompt.start,
        calls: callsOf(request, grammar),
        tools: new Map(request.tools.map(({ name, inputSchema }) => [rename(name), inputSchema])),
      }),
      endTokens: prompt.endTokens,
      controls: prompt.controls,
      names: new Map([...names].map(([given, written]) => [written, given])),
      ...this.#forward(request, prompt),
      binding: bindingOf(request, { dialect, grammar, prompt, bind }),
      required: grammar.required,
      unenforced: grammar.unenforced,
    });
  }

  /** An answer that follows a grammar as it was sent, and is text. */
  *#written(id: number, request: GenerationRequest & { readonly grammar: string }, prompt: Prompt): Work<ModelAnswer> {
    const { grammar: text } = request;
    const grammar = yield* this.#sent.of(text, function* (): Work<Grammar> {
      const rules = parseGbnf(text);
      yield;
      return new Grammar(rules);
    });
    const index = yield* this.#vocabulary(prompt);
    return new ModelAnswer({
      id,
      vocabulary: this.#model,
      parser: this.#parser(request, prompt, { dialect: {}, start: "text", calls: "ignore", tools: new Map() }),
      endTokens: prompt.endTokens,
      controls: prompt.controls,
      ...this.#forward(request, prompt),
      binding: { whole: () => new GrammarConstraint(grammar, index) },
    });
  }

  #parser(
    { stop, responseSchema }: GenerationRequest,
    { endTexts }: Prompt,
    options: Pick<ParserOptions, "dialect" | "start" | "calls" | "tools">,
  ): Parser {
    return new Parser({
      ...options,
      stop: stop.flatMap((text) => this.#chat.seen(text)),
      // JSON may hold any text.
      ends: responseSchema === undefined ? endTexts : [],
    });
  }

  /** How likely a token was is only known of one that the model was asked for. */
  #forward({ logprobs }: GenerationRequest, { controls }: Pick<Prompt, "controls">): Pick<AnswerOptions, "forward"> {
    if (!this.#fastForward || logprobs !== undefined) return {};
    const model = this.#model;
    const forced = this.#forced ??= new ForcedTokens({
      spacePrefix: model.spacePrefix,
      tokenize: (text, special) => model.tokenize(text, special),
      pieceText: (token) => controls.has(token) ? "" : model.pieceText(token),
      piece: (token) => controls.has(token) ? NO_BYTES : model.piece(token),
    });
    return { forward: (...from) => forced.of(...from) };
  }

  /** Made when the first grammar needs it. What ends an answer is the same for all. */
  #vocabulary({ endTokens, controls }: Pick<Prompt, "endTokens" | "controls">): Work<VocabularyIndex> {
    const model = this.#model;
    this.#index ??= new SharedWork(VocabularyIndex.of(model.vocabularySize, {
      // A marker is a token to a grammar, not text.
      piece: (token) => controls.has(token) ? NO_BYTES : model.piece(token),
      ends: (token) => model.endsAnswer(token) || endTokens.has(token),
    }));
    return this.#index.join();
  }
}

/** What of a request its grammar depends on, as text; the family's form is the same for all. */
function* keyOf({ tools, toolChoice, responseSchema }: GenerationRequest): Work<string> {
  const parts = [JSON.stringify(toolChoice)];
  for (const tool of tools) {
    // A tool that may not be called counts all the same: messages name the others by their places.
    parts.push(mayCall(tool, toolChoice) ? JSON.stringify([tool.name, tool.inputSchema]) : "");
    yield;
  }
  parts.push(responseSchema === undefined ? "" : JSON.stringify(responseSchema));
  return parts.join("\n");
}

const NO_BYTES = new Uint8Array(0);

function callsOf({ toolChoice, responseSchema }: GenerationRequest, grammar: AnswerGrammar): ParserOptions["calls"] {
  if (toolChoice === "none") return "hold";
  if (!grammar.calling) return "ignore";
  return responseSchema === undefined ? "read" : "first";
}

function bindingOf(
  { toolChoice, thinking }: GenerationRequest,
  { dialect, grammar, prompt, bind }: {
    readonly dialect: Dialect;
    readonly grammar: AnswerGrammar;
    readonly prompt: Prompt;
    readonly bind: (start: Position | undefined) => Constraint | undefined;
  },
): Binding {
  const { thought, call, channels } = dialect;
  const called: Binding = grammar.calling ? { restOf: (begun) => bind(grammar.restOf(begun)) } : {};
  if (!grammar.binding) {
    return {
      ...called,
      ...(toolChoice === "none" && call !== undefined && call.marker.length > 0 ? { noCalls: true } : {}),
    };
  }
  const begun = channels !== undefined && prompt.start === "text";
  return {
    ...called,
    whole: () => bind(grammar.whole(begun ? "header" : "nothing")),
    afterThought: () => bind(grammar.whole("thought")),
    ...(thinking && thought?.open !== undefined ? { thoughtOpen: textOf(thought.open) } : {}),
  };
}
