/** What a v2 request offers to be called, and what it wants the answer to be. */
import { MAX_TOOLS, type V2ToolChoice } from "@inferd/client/protocol";
import { type GenerationRequest, InvalidRequestError, type JsonObject, type Tool } from "../backend/backend.ts";
import { readArray, readOneOf, readRecord, readString, refuse, shown } from "../pipeline/resolve.ts";
import { readSchema } from "./json_limits.ts";

/** What a tool may be called. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

const CHOICES: readonly V2ToolChoice[] = ["auto", "required", "none"];
const FORMATS = ["json_schema"] as const;

/**
 * Read `tools`, `tool_choice` and `response_format`, which have to fit each other.
 *
 * @throws {InvalidRequestError} If they do not, or one breaks its rule.
 */
export function readTools(
  value: Readonly<Record<string, unknown>>,
): Pick<GenerationRequest, "tools" | "toolChoice" | "responseSchema"> {
  const { tools: givenTools, tool_choice, response_format } = value;
  const tools = givenTools === undefined ? [] : readOffer(givenTools);
  const toolChoice = tool_choice === undefined ? "auto" : readOneOf("tool_choice", tool_choice, CHOICES);
  if (toolChoice === "required" && tools.length === 0) {
    throw new InvalidRequestError('"tool_choice" can be "required" only with "tools"');
  }
  if (response_format === undefined) return { tools, toolChoice };
  const responseSchema = readResponseFormat(response_format);
  if (toolChoice === "required") {
    throw new InvalidRequestError('"response_format" cannot go together with "tool_choice": "required"');
  }
  return { tools, toolChoice, responseSchema };
}

/** The name of a tool, offered or called. */
export function readToolName(field: string, value: unknown): string {
  const name = readString(field, value);
  if (!NAME.test(name)) refuse(field, "1 to 64 of A-Z, a-z, 0-9, _ and -", name);
  return name;
}

function readOffer(value: unknown): Tool[] {
  const names = new Set<string>();
  return readArray("tools", value, { of: "entries", max: MAX_TOOLS }).map((entry, index) => {
    const field = `tools[${index}]`;
    const { name: givenName, description, input_schema } = readRecord(field, entry);
    const name = readToolName(`${field}.name`, givenName);
    if (names.has(name)) throw new InvalidRequestError(`"${field}.name" must be unique, got ${shown(name)} again`);
    names.add(name);
    return {
      name,
      description: readString(`${field}.description`, description),
      inputSchema: readInputSchema(`${field}.input_schema`, input_schema),
    };
  });
}

/** Arguments come as an object. */
function readInputSchema(field: string, value: unknown): JsonObject {
  const schema = readSchema(field, value);
  if (schema.type !== undefined && schema.type !== "object") refuse(`${field}.type`, '"object"', schema.type);
  return schema;
}

function readResponseFormat(value: unknown): JsonObject {
  const { type, schema } = readRecord("response_format", value);
  readOneOf("response_format.type", type, FORMATS);
  return readSchema("response_format.schema", schema);
}
