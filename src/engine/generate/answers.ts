/**
 * Turns a request into a scheduler job: prompt tokens, and an answer with its constraints. Decides what becomes a
 * grammar and what the parser looks for. All of it is time-sliced, because it runs before the request has a slot, while
 * other streams continue.
 */
import type { GenerationRequest, Sampling, TokenBias } from "../../inference/request.ts";
import { defined } from "../../inference/objects.ts";
import { mayCall } from "../../inference/tool_choice.ts";
import { type AnswerOptions, type Binding, ModelAnswer } from "../answer/answer.ts";
import { ForcedTokens } from "./ahead/forced_tokens.ts";
import { nextTurn } from "./ahead/next_turn.ts";
import { AnswerGrammar } from "./answer_grammar.ts";
import { AnswerRules, type Unenforced } from "../answer/answer_rules.ts";
import { Parser } from "../answer/parser.ts";
import type { ParserOptions } from "../answer/parser_options.ts";
import { type Chat, type Prompt, PromptError } from "../chat/chat.ts";
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
import type { InfillVocabulary } from "./sampling/infill.ts";
import { VocabularyIndex } from "../../grammar/vocabulary/vocabulary_index.ts";
import { SharedWork, type Work } from "../../work/work.ts";

export type { Unenforced } from "../answer/answer_rules.ts";

export type AnswerModel = Pick<
  Model,
  "piece" | "pieceText" | "endsAnswer" | "vocabularySize" | "tokenize" | "spacePrefix"
>;

export interface AnswersOptions {
  /** Append forced tokens without sampling; default true. */
  readonly fastForward?: boolean;
  /** Prefill the conversation's next turn after an answer; default true. */
  readonly nextTurn?: boolean;
  /** Called with the keywords of a tool's schema that decoding does not enforce. */
  readonly onUnenforced?: (what: Unenforced) => void;
}

export class Answers {
  readonly #model: AnswerModel;
  readonly #chat: Chat;
  /** Grammars of tools and schemas, and grammars from requests. */
  readonly #asked = new Grammars<AnswerGrammar>();
  readonly #sent = new Grammars<Grammar>();
  readonly #options: AnswersOptions;
  #index: SharedWork<VocabularyIndex> | undefined;
  #forced: ForcedTokens | undefined;
  /** The same for all prompts. */
  #endings: readonly number[] | undefined;

  constructor(model: AnswerModel, chat: Chat, options: AnswersOptions = {}) {
    this.#model = model;
    this.#chat = chat;
    this.#options = options;
  }

  /**
   * Create the job. The prompt comes first: one that does not fit is rejected before any grammar is compiled.
   *
   * @throws {PromptError} If the model cannot take the conversation.
   * @throws {AttachmentError} If there is an attachment.
   * @throws {GrammarError} If the grammar or a schema cannot be used.
   */
  *job(id: number, request: GenerationRequest): Work<Job> {
    const { maxTokens, logprobs, logprobsAfterSampling, progress, returnTokens } = request;
    const { nextTurn: preparesNext = true } = this.#options;
    const prompt =
      yield* (request.prompt === undefined
        ? this.#chat.prompt(request)
        : this.#chat.verbatim(this.#known(request.prompt), request));
    const answer =
      yield* (request.grammar === undefined
        ? this.#answer(id, request, prompt)
        : this.#written(id, { ...request, grammar: request.grammar }, prompt));
    return {
      id,
      prompt: prompt.tokens,
      sampling: request.ignoreEos ? this.#endless(request.sampling, prompt) : request.sampling,
      maxTokens,
      ...defined({ logprobs, logprobsAfterSampling, progress, returnTokens }),
      ...(request.infillSampling ? { infill: this.#infill(prompt) } : {}),
      ...(preparesNext && request.prompt === undefined && request.generationPrompt !== false
        ? { nextTurn: (said) => nextTurn(this.#chat, request, said) }
        : {}),
      answer,
    };
  }

  /** @throws {PromptError} If the model does not have a token. */
  #known(parts: readonly (string | number)[]): readonly (string | number)[] {
    const { vocabularySize } = this.#model;
    const unknown = parts.find((part) => typeof part === "number" && part >= vocabularySize);
    if (unknown === undefined) return parts;
    throw new PromptError(`"prompt" must have ids of tokens from 0 to ${vocabularySize - 1}, got ${unknown}`);
  }

  /** Sampling that never chooses a token that ends the answer. */
  #endless(sampling: Sampling, prompt: Pick<Prompt, "endTokens">): Sampling {
    const banned = this.#ending(prompt).map((token): TokenBias => [token, -Infinity]);
    return { ...sampling, logitBias: [...sampling.logitBias ?? [], ...banned] };
  }

  /** @throws {PromptError} If no token ends an answer. */
  #infill(prompt: Pick<Prompt, "endTokens">): InfillVocabulary {
    const ending = this.#ending(prompt);
    const [end] = ending;
    if (end === undefined) throw new PromptError('"infill_sampling" needs a model with a token that ends an answer');
    return { end, endsAnswer: (token) => ending.includes(token), piece: (token) => this.#model.piece(token) };
  }

  /** The tokens that end an answer. */
  #ending({ endTokens }: Pick<Prompt, "endTokens">): readonly number[] {
    const model = this.#model;
    return this.#endings ??= Array.from({ length: model.vocabularySize }, (_, token) => token)
      .filter((token) => model.endsAnswer(token) || endTokens.has(token));
  }

  /** An answer in the family's own syntax, or after a prompt that is used as it is, plain text. */
  *#answer(id: number, request: GenerationRequest, prompt: Prompt): Work<ModelAnswer> {
    const dialect = request.prompt === undefined ? this.#chat.dialect : PLAIN_TEXT;
    const names = this.#chat.names(request);
    const rename = (name: string): string => names.get(name) ?? name;
    const grammar = yield* this.#asked.of(
      yield* keyOf(request),
      function* (): Work<AnswerGrammar> {
        return yield* AnswerGrammar.of(yield* AnswerRules.of(request, dialect, rename));
      },
    );
    const { binding, calling, required, unenforced } = grammar.rules;
    for (const what of unenforced.values()) this.#options.onUnenforced?.(what);
    const index = binding || calling ? yield* this.#vocabulary(prompt) : undefined;
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
      required,
      unenforced,
    });
  }

  /** A plain-text answer that follows the request's own grammar. */
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
      parser: this.#parser(request, prompt, { dialect: PLAIN_TEXT, start: "text", calls: "ignore", tools: new Map() }),
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
      // JSON strings may contain any text.
      ends: responseSchema === undefined ? endTexts : [],
    });
  }

  /** Not with logprobs: forced tokens have none. */
  #forward({ logprobs }: GenerationRequest, { controls }: Pick<Prompt, "controls">): Pick<AnswerOptions, "forward"> {
    if (this.#options.fastForward === false || logprobs !== undefined) return {};
    const model = this.#model;
    const forced = this.#forced ??= new ForcedTokens({
      spacePrefix: model.spacePrefix,
      tokenize: (text, special) => model.tokenize(text, special),
      pieceText: (token) => controls.has(token) ? "" : model.pieceText(token),
      piece: (token) => controls.has(token) ? NO_BYTES : model.piece(token),
    });
    return { forward: (...from) => forced.of(...from) };
  }

  /** Built for the first grammar. End tokens are the same for all. */
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

/** Cache key: the parts of a request that its grammar depends on. */
function* keyOf({ tools, toolChoice, responseSchema, prompt }: GenerationRequest): Work<string> {
  const parts = [JSON.stringify(toolChoice), prompt === undefined ? "" : "prompt"];
  for (const tool of tools) {
    // Disallowed tools count too: messages refer to tools by index.
    parts.push(mayCall(tool, toolChoice) ? JSON.stringify([tool.name, tool.inputSchema]) : "");
    yield;
  }
  parts.push(responseSchema === undefined ? "" : JSON.stringify(responseSchema));
  return parts.join("\n");
}

const NO_BYTES = new Uint8Array(0);
/** Without thoughts, calls and channels. */
const PLAIN_TEXT: Dialect = {};

function callsOf({ toolChoice, responseSchema }: GenerationRequest, grammar: AnswerGrammar): ParserOptions["calls"] {
  if (toolChoice === "none") return "hold";
  if (!grammar.rules.calling) return "ignore";
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
  const called: Binding = grammar.rules.calling ? { restOf: (begun) => bind(grammar.restOf(begun)) } : {};
  if (!grammar.rules.binding) {
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
