/** The tools of a v2 request, and the required form of the answer. */
import { MAX_TOOL_NAME_LENGTH, MAX_TOOLS } from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import {
  ANY_OBJECT,
  type GenerationRequest,
  type JsonObject,
  type Tool,
  type ToolChoice,
} from "../inference/request.ts";
import { mustCall } from "../inference/tool_choice.ts";
import { listed, readArray, readOneOf, readRecord, readString, refuse, shown } from "../pipeline/resolve.ts";
import { readSchema } from "./json_limits.ts";
import { isObject } from "../inference/objects.ts";

/** The characters not allowed in tool names. */
const NOT_IN_NAME = /[^A-Za-z0-9_\-./:]/u;
const NAME = `1 to ${MAX_TOOL_NAME_LENGTH} of A-Z a-z 0-9 _ - . / :`;

const CHOICES = ["auto", "required", "none"] as const;
const FORMATS = ["json_schema", "json_object"] as const;

/**
 * Read `tools`, `tool_choice` and `response_format`, which must be consistent.
 *
 * @throws {InvalidRequestError} If they are inconsistent or invalid.
 */
export function readTools(
  value: Readonly<Record<string, unknown>>,
): Pick<GenerationRequest, "tools" | "toolChoice" | "responseSchema"> {
  const { tools: givenTools, tool_choice, response_format } = value;
  const tools = givenTools === undefined ? [] : readOffer(givenTools);
  const toolChoice = tool_choice === undefined ? "auto" : readToolChoice(tool_choice, tools);
  if (response_format === undefined) return { tools, toolChoice };
  const responseSchema = readResponseFormat(response_format);
  if (mustCall(toolChoice)) {
    throw new InvalidRequestError(
      `"response_format" cannot go together with "tool_choice": ${JSON.stringify(toolChoice)}`,
    );
  }
  return { tools, toolChoice, responseSchema };
}

export function readToolName(field: string, value: unknown): string {
  const name = readString(field, value);
  if (name === "") refuse(field, NAME, name);
  if (name.length > MAX_TOOL_NAME_LENGTH) {
    throw new InvalidRequestError(`"${field}" must be ${NAME}, got ${name.length} characters: ${shownName(name)}`);
  }
  const at = name.search(NOT_IN_NAME);
  if (at === -1) return name;
  throw new InvalidRequestError(
    `"${field}" must be ${NAME}, but character ${at + 1} of ${shownName(name)} is ${shownCharacter(name, at)}`,
  );
}

/** The name, unless it is too long to show. */
function shownName(name: string): string {
  return shown(name, MAX_TOOL_NAME_LENGTH);
}

/** Shows characters that are invisible, or look like others, by their code point. */
function shownCharacter(text: string, at: number): string {
  const code = text.codePointAt(at) ?? 0;
  const number = code.toString(16).toUpperCase().padStart(4, "0");
  return `${JSON.stringify(String.fromCodePoint(code))} (U+${number})`;
}

function readToolChoice(value: unknown, tools: readonly Tool[]): ToolChoice {
  if (!isObject(value)) {
    const mode = CHOICES.find((choice) => choice === value);
    if (mode === undefined) {
      refuse("tool_choice", '"auto", "required", "none" or an object with the name of a tool', value);
    }
    if (mode === "required" && tools.length === 0) {
      throw new InvalidRequestError('"tool_choice" can be "required" only with "tools"');
    }
    return mode;
  }
  const name = readString("tool_choice.name", value.name);
  if (tools.length === 0) throw new InvalidRequestError('"tool_choice" can name a tool only with "tools"');
  if (!tools.some((tool) => tool.name === name)) {
    const names = listed(tools.map((tool) => tool.name));
    throw new InvalidRequestError(
      `"tool_choice.name" must be the name of one of the tools, ${names}, got ${shownName(name)}`,
    );
  }
  return { name };
}

function readOffer(value: unknown): Tool[] {
  const names = new Set<string>();
  return readArray("tools", value, { of: "entries", max: MAX_TOOLS }).map((entry, index) => {
    const field = `tools[${index}]`;
    const { name: givenName, description, input_schema } = readRecord(field, entry);
    const name = readToolName(`${field}.name`, givenName);
    if (names.has(name)) throw new InvalidRequestError(`"${field}.name" must be unique, got ${shownName(name)} again`);
    names.add(name);
    return {
      name,
      description: readString(`${field}.description`, description),
      inputSchema: readInputSchema(`${field}.input_schema`, input_schema),
    };
  });
}

/** Read an input schema, which must describe an object. */
function readInputSchema(field: string, value: unknown): JsonObject {
  const schema = readSchema(field, value);
  if (schema.type !== undefined && schema.type !== "object") refuse(`${field}.type`, '"object"', schema.type);
  return schema;
}

function readResponseFormat(value: unknown): JsonObject {
  const { type, schema } = readRecord("response_format", value);
  return readOneOf("response_format.type", type, FORMATS) === "json_object"
    ? ANY_OBJECT
    : readSchema("response_format.schema", schema);
}
