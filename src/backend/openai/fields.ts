/**
 * Optional request fields that the caller did not ask for, and which of them a server supports. After a refusal the
 * request is repeated without the field; the refused one cost no computation. Fields the caller asked for are never
 * dropped, so that the caller sees the refusal.
 *
 * A server names the field in a path (`param`, FastAPI's `loc`), in its message, or not at all; then fields are dropped
 * a group at a time, the least widely supported first.
 */
import type { LongText } from "@inferd/client/protocol";
import type { GenerationRequest, JsonObject } from "../../inference/request.ts";
import { TOO_LONG_CODES, type UpstreamFailure } from "./errors.ts";
import { isObject } from "../../inference/objects.ts";

/** An optional field sent by the daemon itself. */
type Field = keyof typeof FIELDS;

/** Names of each field in server messages, and the group in which it is dropped when no field is named. */
const FIELDS = {
  top_k: { names: ["top_k"], group: 0 },
  chat_template_kwargs: { names: ["chat_template_kwargs", "enable_thinking"], group: 0 },
  reasoning_content: { names: ["reasoning_content"], group: 0 },
  // The `null` beside calls, which becomes an empty text.
  content: { names: ["content"], group: 0 },
  stream_options: { names: ["stream_options", "include_usage"], group: 1 },
  strict: { names: ["strict"], group: 1 },
  tool_choice: { names: ["tool_choice"], group: 1 },
  temperature: { names: ["temperature"], group: 2 },
  top_p: { names: ["top_p"], group: 2 },
  max_tokens: { names: ["max_tokens", "max_completion_tokens", "max_new_tokens"], group: 2 },
  // Two names for one thing: the caller asked for one of them.
  repeat_penalty: { names: ["repeat_penalty"], group: undefined },
  repetition_penalty: { names: ["repetition_penalty"], group: undefined },
  // Never dropped by guessing: without it the answer arrives only when complete.
  stream: { names: [], group: undefined },
} as const satisfies Record<string, { readonly names: readonly string[]; readonly group: number | undefined }>;

/** Of these one has to be left. */
const TWINS: Readonly<Partial<Record<Field, Field>>> = {
  repeat_penalty: "repetition_penalty",
  repetition_penalty: "repeat_penalty",
};

const NAMES: readonly Field[] = Object.keys(FIELDS) as Field[];
const GROUPS = [0, 1, 2] as const;

/** Fields set by the caller, with their subfields; this includes `strict` and `reasoning_content`. */
const CALLERS: ReadonlySet<string> = new Set([
  "seed",
  "response_format",
  "json_schema",
  "image_url",
  "input_audio",
  "min_p",
  "presence_penalty",
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "top_logprobs",
]);
const CALLERS_LISTS: ReadonlySet<string> = new Set(["messages", "tools", "response_format", "stop", "seed"]);

/** Fields of ours in those. */
const INSIDE_LISTS: readonly Field[] = ["strict", "reasoning_content", "content"];

/** Matches `top_k`, `"tools[0].function"`, or an English word. */
const PATH = /(?<quote>['"`]?)(?<path>[A-Za-z_]\w*(?:[.[\]]+\w+)*)/g;

/** How much of a server's text is searched, in UTF-16 units. */
const SEARCHED_LENGTH = 16 * 1024;

/** Separator between names in a list. */
const BETWEEN = /^[\s,'"`&]*(?:and)?[\s'"`]*$/;

/** The prompt leaves too little room for the requested answer; a shorter one may fit. */
const TOO_LONG = /context (?:length|window|size)|`inputs`|(?:input|prompt) tokens/i;

/** Statuses of a refusal, and those that are one only if a field is named; 404: OpenRouter finds no server for it. */
const REFUSALS: ReadonlySet<number> = new Set([400, 422, 501]);
const NAMED_REFUSALS: ReadonlySet<number> = new Set([...REFUSALS, 403, 404, 405, 500]);

/** OpenAI's newer name, required by its reasoning models. */
const NEWER_LIMIT = "max_completion_tokens";

/** Facts learned about a server. */
export class ServerFields {
  readonly #refused = new Set<Field>();
  #newerLimit = false;

  /** Names of refused fields, for the log. */
  get refused(): readonly string[] {
    return [...this.#refused, ...this.#newerLimit ? ["max_tokens"] : []];
  }

  attempt(request: GenerationRequest<LongText>, body: JsonObject): Attempt {
    const own = new Set(ownFields(request, body));
    const refused = [...this.#refused].filter((field) => isIn(body, field));
    return new Attempt(body, {
      own,
      without: refused.filter((field) => own.has(field)),
      hopeless: refused.some((field) => !own.has(field)),
      newerLimit: this.#newerLimit,
    });
  }

  /**
   * Remember what an attempt learned, once the server has begun to answer.
   *
   * @returns Whether it was new.
   */
  learn(attempt: Attempt): boolean {
    const { refused, newerLimit } = attempt.learned;
    const isNew = (newerLimit && !this.#newerLimit) || refused.some((field) => !this.#refused.has(field));
    for (const field of refused) this.#refused.add(field);
    this.#newerLimit ||= newerLimit;
    return isNew;
  }
}

/** A request in progress, with the fields dropped so far. */
export class Attempt {
  readonly #whole: JsonObject;
  readonly #own: ReadonlySet<Field>;
  readonly #without: Set<Field>;
  /** Fields the server named in a refusal. */
  readonly #refused = new Set<Field>();
  /** The last group dropped by guessing, which made the difference. */
  #guessed: readonly Field[] = [];
  /** The caller asks for a field the server refused before, presumably the reason for an unspecific refusal. */
  readonly #hopeless: boolean;
  #newerLimit: boolean;

  constructor(
    whole: JsonObject,
    known: {
      readonly own: ReadonlySet<Field>;
      readonly without: readonly Field[];
      readonly hopeless: boolean;
      readonly newerLimit: boolean;
    },
  ) {
    this.#whole = whole;
    this.#own = known.own;
    this.#hopeless = known.hopeless;
    this.#without = new Set(known.without);
    this.#newerLimit = known.newerLimit;
  }

  get body(): JsonObject {
    let body = this.#whole;
    for (const field of this.#without) body = withoutField(body, field);
    if (!this.#newerLimit || !("max_tokens" in body)) return body;
    const { max_tokens, ...rest } = body;
    return { ...rest, [NEWER_LIMIT]: max_tokens };
  }

  /** What to remember about the server if this body is accepted. */
  get learned(): { readonly refused: readonly Field[]; readonly newerLimit: boolean } {
    return { refused: [...this.#refused, ...this.#guessed], newerLimit: this.#newerLimit };
  }

  /**
   * Reduce the body after a refusal.
   *
   * @param failure The server's reply to `body`.
   * @returns Whether there is a reduced body to try.
   */
  refused(failure: UpstreamFailure): boolean {
    const { status, message = "", code } = failure;
    if (status === undefined || !NAMED_REFUSALS.has(status)) return false;
    const tooLong = TOO_LONG.test(message) || TOO_LONG_CODES.has(code ?? "");
    const named = this.#named(failure);
    if (
      !tooLong && named.includes("max_tokens") && "max_tokens" in this.body &&
      inSnakeCase(message).includes(NEWER_LIMIT)
    ) {
      this.#newerLimit = true;
      return true;
    }
    const own = named.filter((name) => name !== "caller's").filter((field) =>
      this.#isLeft(field) && !named.some((other) => other === TWINS[field])
    );
    for (const field of own) {
      this.#without.add(field);
      if (!(tooLong && field === "max_tokens")) this.#refused.add(field);
    }
    if (named.length > 0) return own.length > 0;
    if (!REFUSALS.has(status)) return false;
    if (tooLong) return this.#leave("max_tokens");
    return !this.#hopeless && this.#guess();
  }

  #isLeft(field: Field): boolean {
    if (!this.#own.has(field) || this.#without.has(field)) return false;
    const twin = TWINS[field];
    return twin === undefined || !this.#without.has(twin);
  }

  #leave(field: Field): boolean {
    if (!this.#isLeft(field)) return false;
    this.#without.add(field);
    return true;
  }

  #guess(): boolean {
    for (const group of GROUPS) {
      const fields = NAMES.filter((field) => FIELDS[field].group === group && this.#isLeft(field));
      if (fields.length === 0) continue;
      for (const field of fields) this.#without.add(field);
      this.#guessed = fields;
      return true;
    }
    return false;
  }

  /** The fields a failure names, by path or else in its message; empty if it names none. */
  #named({ fields, message = "" }: UpstreamFailure): readonly (Field | "caller's")[] {
    const { body } = this;
    const named = fields.flatMap((path) =>
      NAMES.find((field) => leadsTo(path, field) && isIn(body, field)) ?? ((path[0] ?? "") in body ? "caller's" : [])
    );
    return named.length > 0 ? named : this.#namedByWords(message);
  }

  /** The first list of known field names in a text; a later list may enumerate supported fields. */
  #namedByWords(text: string): readonly (Field | "caller's")[] {
    const { body } = this;
    const named: (Field | "caller's")[] = [];
    let end: number | undefined;
    for (const { 0: found, index, groups } of text.slice(0, SEARCHED_LENGTH).matchAll(PATH)) {
      const path = groups?.path?.split(/[.[\]]+/).map(inSnakeCase) ?? [];
      // English words count as names only in quotation marks.
      const isQuoted = groups?.quote !== "";
      const field = NAMES.find((field) =>
        leadsTo(path, field) && isIn(body, field) && (isQuoted || field !== "stream")
      );
      const isCallers = path.some((part) => CALLERS.has(part)) || (isQuoted && (path[0] ?? "") in body);
      if (field === undefined && (!isCallers || isPlace(path, { body, text }))) continue;
      if (end !== undefined && !BETWEEN.test(text.slice(end, index))) break;
      named.push(field ?? "caller's");
      end = index + found.length;
    }
    return named;
  }
}

/** Whether a path is only the place of a field of ours that the text names later. */
function isPlace([list = ""]: readonly string[], { body, text }: { body: JsonObject; text: string }): boolean {
  return CALLERS_LISTS.has(list) &&
    INSIDE_LISTS.some((field) => isIn(body, field) && new RegExp(`\\b${field}\\b`).test(text));
}

/** Some servers name fields as their own language does: `MaxTokens`. */
function inSnakeCase(text: string): string {
  return text.replace(/([a-z])([A-Z])/g, "$1_$2").toLowerCase();
}

function leadsTo(path: readonly string[], field: Field): boolean {
  const names: readonly string[] = FIELDS[field].names;
  if (!path.some((part) => part === field || names.includes(part))) return false;
  return INSIDE_LISTS.includes(field) || !CALLERS_LISTS.has(path[0] ?? "");
}

/** The body's fields that the caller did not ask for. */
function ownFields(request: GenerationRequest<LongText>, body: JsonObject): Field[] {
  const { defaulted = [], thinking, templateVariables, toolChoice } = request;
  const asked: Readonly<Partial<Record<Field, boolean>>> = {
    top_k: !defaulted.includes("top_k"),
    temperature: !defaulted.includes("temperature"),
    top_p: !defaulted.includes("top_p"),
    max_tokens: !defaulted.includes("max_tokens"),
    chat_template_kwargs: thinking || templateVariables !== undefined,
    // `auto` is the default.
    tool_choice: toolChoice !== "auto",
  };
  return NAMES.filter((field) => isIn(body, field) && !asked[field]);
}

function isIn(body: JsonObject, field: Field): boolean {
  if (field === "strict") return "strict" in schemaOf(body);
  if (field === "reasoning_content") return messagesOf(body).some((message) => field in message);
  if (field === "content") return messagesOf(body).some((message) => message.content === null);
  return field in body || (field === "max_tokens" && NEWER_LIMIT in body);
}

function withoutField(body: JsonObject, field: Field): JsonObject {
  const { [field]: _, ...rest } = body;
  switch (field) {
    case "stream": {
      const { stream_options: _, ...whole } = rest;
      return whole;
    }
    case "strict": {
      const { strict: _, ...schema } = schemaOf(body);
      return { ...body, response_format: { type: "json_schema", json_schema: schema } };
    }
    case "reasoning_content":
      return { ...body, messages: messagesOf(body).map(({ reasoning_content: _, ...message }) => message) };
    case "content":
      return { ...body, messages: messagesOf(body).map((message) => ({ ...message, content: message.content ?? "" })) };
    default:
      return rest;
  }
}

function schemaOf({ response_format: format }: JsonObject): JsonObject {
  return isObject(format) && isObject(format.json_schema) ? format.json_schema : {};
}

function messagesOf({ messages }: JsonObject): readonly JsonObject[] {
  return Array.isArray(messages) ? messages.filter(isObject) : [];
}
