/**
 * Tokenizer requests of generation v2: the tokens of a text, the text of tokens, the number of tokens of a
 * conversation, and the prompt that the chat template renders. Each is answered with one frame of the request's type.
 */
import {
  GIVEN_TEMPLATE_VARIABLES,
  isText,
  type LongText,
  MAX_DETOKENIZE_TOKENS,
  MAX_TOKENIZE_LENGTH,
  type NumberLimits,
  type TokenizerFrame,
  type TokenizerType,
} from "@inferd/client/protocol";
import type { Backend } from "../inference/backend.ts";
import { AttachmentUnsupportedError, InvalidRequestError } from "../inference/errors.ts";
import type { Conversation, TokenizerAnswer, TokenizerRequest } from "../inference/request.ts";
import {
  readArray,
  readBoolean,
  readFlag,
  readModel,
  readNumber,
  readString,
  type ResolvedRequest,
  type Terminal,
  type WholeAnswer,
} from "../pipeline/resolve.ts";
import { isObject } from "../inference/objects.ts";
import { Attachments } from "./attachments.ts";
import { readConversation } from "./blocks.ts";
import { readJsonObject } from "./json_limits.ts";
import { readTools } from "./tools.ts";

const TYPES: readonly TokenizerType[] = ["tokenize", "detokenize", "count", "apply_template"];
const TOKEN: NumberLimits = { min: 0, whole: true };

/** Elements of a list that are written in one turn, some milliseconds. */
const ELEMENTS_PER_TURN = 16_384;

/** The type of a tokenizer request; undefined for any other `type`. */
export function tokenizerTypeOf(type: unknown): TokenizerType | undefined {
  return TYPES.find((known) => known === type);
}

/** @throws {InvalidRequestError} If it is invalid. */
export function readTokenizer(
  id: string,
  type: TokenizerType,
  fields: Readonly<Record<string, unknown>>,
): ResolvedRequest<TokenizerFrame> {
  return readWith(id, { type, fields, begin: () => (end) => end });
}

/**
 * The same, for a line: long lists are written in parts.
 *
 * @throws {InvalidRequestError} If it is invalid.
 */
export function readTokenizerLine(
  id: string,
  type: TokenizerType,
  fields: Readonly<Record<string, unknown>>,
): ResolvedRequest {
  return readWith(id, { type, fields, begin: lineRendering });
}

function readWith<R>(id: string, { type, fields, begin }: {
  readonly type: TokenizerType;
  readonly fields: Readonly<Record<string, unknown>>;
  /** How one answer is finished. */
  readonly begin: () => (end: Terminal<TokenizerFrame>) => Terminal<R> | undefined;
}): ResolvedRequest<R> {
  const request = readRequest(type, fields);
  return {
    id,
    ...readModel(fields),
    isShort: true,
    answer: (backend, signal): WholeAnswer<R, TokenizerAnswer> => {
      if (backend.tokenizer === undefined) {
        throw new InvalidRequestError(
          `"${type}" cannot be answered by backend "${backend.name}": it does not know its model's tokens`,
        );
      }
      const finish = begin();
      return {
        answer: backend.tokenizer(request, signal),
        render: (answer) => finish(render(answer, { id, type, backend })),
      };
    },
  };
}

function readRequest(type: TokenizerType, fields: Readonly<Record<string, unknown>>): TokenizerRequest<LongText> {
  switch (type) {
    case "tokenize": {
      const text = readString("text", fields.text);
      if (text.length > MAX_TOKENIZE_LENGTH) {
        throw new InvalidRequestError(`"text" must have at most ${MAX_TOKENIZE_LENGTH} characters, got ${text.length}`);
      }
      return {
        type,
        text,
        addSpecial: readFlag("add_special", fields),
        parseSpecial: readFlag("parse_special", fields),
      };
    }
    case "detokenize":
      return {
        type,
        tokens: readArray("tokens", fields.tokens, { of: "tokens", max: MAX_DETOKENIZE_TOKENS })
          .map((token, index) => readNumber(`tokens[${index}]`, token, TOKEN)),
        pieces: readFlag("pieces", fields),
      };
    case "count":
    case "apply_template":
      return { type, conversation: readConversationOf(fields) };
  }
}

function readConversationOf(fields: Readonly<Record<string, unknown>>): Conversation<LongText> {
  const attachments = new Attachments(fields.attachments === undefined ? [] : fields.attachments);
  const messages = readConversation(withBlocks(fields.messages), attachments);
  attachments.checkAllUsed();
  const [kind] = attachments.kinds;
  if (kind !== undefined) {
    throw new AttachmentUnsupportedError(`Tokens of attachments cannot be counted, got one of kind "${kind}"`);
  }
  const { tools, toolChoice } = readTools(fields);
  const thinking = readFlag("thinking", fields);
  return { messages, tools, toolChoice, thinking, ...readRendering(fields) };
}

/** How a conversation becomes a prompt: whether it opens an assistant's turn, and further variables of the template. */
export function readRendering(
  { generation_prompt: opens, template_variables: given }: Readonly<Record<string, unknown>>,
): Pick<Conversation, "generationPrompt" | "templateVariables"> {
  const variables = given === undefined ? undefined : readJsonObject("template_variables", given);
  for (const name of GIVEN_TEMPLATE_VARIABLES) {
    if (variables !== undefined && Object.hasOwn(variables, name)) {
      throw new InvalidRequestError(`"template_variables" must not have "${name}", which the daemon sets`);
    }
  }
  return {
    ...(opens === undefined ? {} : { generationPrompt: readBoolean("generation_prompt", opens) }),
    ...(variables === undefined ? {} : { templateVariables: variables }),
  };
}

/** Like in v1, a string stands for one block of text. */
function withBlocks(messages: unknown): unknown {
  if (!Array.isArray(messages)) return messages;
  return messages.map((message: unknown) =>
    isObject(message) && isText(message.content)
      ? { ...message, content: [{ type: "text", text: message.content }] }
      : message
  );
}

function render(
  answer: TokenizerAnswer,
  { id, type, backend }: { readonly id: string; readonly type: TokenizerType; readonly backend: Backend },
): Terminal<TokenizerFrame> {
  const frame: TokenizerFrame = {
    id,
    type,
    ...toFields(answer),
    model: backend.capabilities?.model ?? backend.name,
    backend: backend.name,
  };
  const usage = { promptTokens: frame.input_tokens ?? 0, completionTokens: 0, cachedTokens: 0 };
  return { frame, stopReason: "end", usage };
}

/** Writes a long list of a frame in parts, others as they are. */
function lineRendering(): (end: Terminal<TokenizerFrame>) => Terminal | undefined {
  const parts: string[] = [];
  let written = 0;
  return (end) => {
    const { frame: { tokens, pieces, ...frame } } = end;
    const [name, list] = tokens === undefined ? ["pieces", pieces ?? []] as const : ["tokens", tokens] as const;
    if (list.length <= ELEMENTS_PER_TURN) return end;
    parts.push(JSON.stringify(list.slice(written, written + ELEMENTS_PER_TURN)).slice(1, -1));
    written += ELEMENTS_PER_TURN;
    if (written < list.length) return undefined;
    return { ...end, frame: `${JSON.stringify(frame).slice(0, -1)},"${name}":[${parts.join(",")}]}\n` };
  };
}

function toFields(answer: TokenizerAnswer): Pick<TokenizerFrame, "tokens" | "text" | "pieces" | "input_tokens"> {
  if ("tokens" in answer) return { tokens: answer.tokens };
  if ("pieces" in answer) return { pieces: answer.pieces };
  return "text" in answer ? { text: answer.text } : { input_tokens: answer.count };
}
