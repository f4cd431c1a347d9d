/**
 * Turns a request into a job of the scheduler: the prompt's tokens, and an answer with its constraints. Decides what
 * of a request becomes a grammar, and what the parser looks for.
 */
import type { GenerationRequest } from "../../inference/request.ts";
import type { Constraint } from "../../grammar/constraint.ts";
import { type Binding, ModelAnswer } from "../answer/answer.ts";
import { AnswerRules } from "../answer/answer_rules.ts";
import { Parser } from "../answer/parser.ts";
import type { ParserOptions } from "../answer/parser_options.ts";
import type { Chat, Prompt } from "../chat/chat.ts";
import type { Dialect } from "../chat/dialect/dialect.ts";
import { textOf } from "../chat/dialect/marker.ts";
import { parseGbnf, type Rules } from "../../grammar/gbnf.ts";
import { GrammarConstraint } from "../../grammar/grammar.ts";
import { Grammars } from "../../grammar/grammars.ts";
import type { Model } from "../native/model.ts";
import type { Job } from "./scheduler.ts";
import { VocabularyIndex } from "../../grammar/vocabulary_index.ts";

/** What an answer needs of a model. */
export type AnswerModel = Pick<Model, "piece" | "pieceText" | "endsAnswer" | "vocabularySize">;

/** Makes jobs of requests for one model. */
export class Answers {
  readonly #model: AnswerModel;
  readonly #chat: Chat;
  readonly #grammars = new Grammars();
  #index: VocabularyIndex | undefined;

  constructor(model: AnswerModel, chat: Chat) {
    this.#model = model;
    this.#chat = chat;
  }

  /**
   * Make a request a job. Grammars come first: what is wrong with them is found sooner than the prompt's tokens.
   *
   * @throws {GrammarError} If the grammar or a schema cannot be used.
   * @throws {PromptError} If the model cannot take the conversation.
   * @throws {AttachmentError} If there is an attachment.
   */
  job(id: number, request: GenerationRequest): Job {
    const { sampling, maxTokens, grammar, stop, responseSchema, logprobs } = request;
    const written = grammar === undefined ? undefined : parseGbnf(grammar);
    const dialect = written === undefined ? this.#chat.dialect : {};
    const names = this.#chat.names(request);
    const rename = (name: string): string => names.get(name) ?? name;
    const rules = new AnswerRules(request, dialect, rename);
    const prompt = this.#chat.render(request);
    const { endTokens, endTexts, controls } = prompt;
    const parser = new Parser({
      dialect,
      start: written === undefined ? prompt.start : "text",
      calls: callsOf(request, rules),
      tools: new Map(request.tools.map(({ name, inputSchema }) => [rename(name), inputSchema])),
      stop: stop.flatMap((text) => this.#chat.seen(text)),
      // JSON may hold any text.
      ends: responseSchema === undefined ? endTexts : [],
    });
    const bind = (rules: Rules): Constraint =>
      new GrammarConstraint(this.#grammars.of(rules), this.#vocabulary(prompt));
    const answer = new ModelAnswer({
      id,
      vocabulary: this.#model,
      parser,
      endTokens,
      controls,
      names: new Map([...names].map(([given, written]) => [written, given])),
      binding: written === undefined
        ? bindingOf(request, { dialect, rules, prompt, bind })
        : { whole: () => bind(written) },
      required: rules.required,
    });
    return {
      id,
      prompt: prompt.tokens,
      sampling,
      maxTokens,
      ...(logprobs === undefined ? {} : { logprobs }),
      answer,
    };
  }

  /** Made when the first grammar needs it. What ends an answer is the same for all. */
  #vocabulary({ endTokens, controls }: Pick<Prompt, "endTokens" | "controls">): VocabularyIndex {
    const model = this.#model;
    return this.#index ??= new VocabularyIndex(model.vocabularySize, {
      // A marker is a token to a grammar, not text.
      piece: (token) => controls.has(token) ? NO_BYTES : model.piece(token),
      ends: (token) => model.endsAnswer(token) || endTokens.has(token),
    });
  }
}

const NO_BYTES = new Uint8Array(0);

function callsOf({ toolChoice, responseSchema }: GenerationRequest, rules: AnswerRules): ParserOptions["calls"] {
  if (toolChoice === "none") return "hold";
  if (!rules.calling) return "ignore";
  return responseSchema === undefined ? "read" : "first";
}

function bindingOf(
  { toolChoice, thinking }: GenerationRequest,
  { dialect, rules, prompt, bind }: {
    readonly dialect: Dialect;
    readonly rules: AnswerRules;
    readonly prompt: Prompt;
    readonly bind: (rules: Rules) => Constraint;
  },
): Binding {
  const { thought, call, channels } = dialect;
  const called: Binding = rules.calling
    ? {
      restOf: (begun) => {
        const rest = rules.restOf(begun);
        return rest === undefined ? undefined : bind(rest);
      },
    }
    : {};
  if (!rules.binding) {
    return {
      ...called,
      ...(toolChoice === "none" && call !== undefined && call.marker.length > 0 ? { noCalls: true } : {}),
    };
  }
  const begun = channels !== undefined && prompt.start === "text";
  return {
    ...called,
    whole: () => bind(rules.whole(begun ? "header" : "nothing")),
    afterThought: () => bind(rules.whole("thought")),
    ...(thinking && thought?.open !== undefined ? { thoughtOpen: textOf(thought.open) } : {}),
  };
}
