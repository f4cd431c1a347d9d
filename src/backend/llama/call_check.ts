/**
 * Looks at calls whose tool's schema could not be enforced while they were written. Loaded when there is one: no other
 * daemon needs a validator.
 */
import { Ajv, type Options, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { matcherOf } from "../../grammar/language/matcher.ts";
import type { JsonObject, Tool } from "../../inference/request.ts";

/** Schemas of the drafts before 2020-12 have other keywords for lists. */
const OLDER = /draft-0[3-7]|2019-09/;

/** A stranger's pattern must not hold the daemon; one that only an engine which backtracks could match is let pass. */
const regExp = Object.assign(
  (pattern: string) => ({
    test: matcherOf(pattern) ?? ((): boolean => true),
    // The validator tells patterns apart by this.
    toString: () => pattern,
  }),
  { code: "matcherOf" },
);

const OPTIONS: Options = {
  strict: false,
  logger: false,
  validateFormats: false,
  addUsedSchema: false,
  code: { regExp },
};

/** Of tools that were called lately; `undefined` where a schema cannot be used for validation either. */
const known = new WeakMap<object, ValidateFunction | "unusable">();

/**
 * What is wrong with a call.
 *
 * @param tools Those of the request.
 * @param name The tool that is called.
 * @param input Its arguments.
 * @returns What to tell the caller; `undefined` if the arguments are valid, or nothing can be said of them.
 */
export function toolCallFault(tools: readonly Tool[], name: string, input: JsonObject): string | undefined {
  const tool = tools.find((tool) => tool.name === name);
  if (tool === undefined) return undefined;
  const { inputSchema } = tool;
  let validate = known.get(inputSchema);
  if (validate === undefined) known.set(inputSchema, validate = compile(inputSchema));
  if (validate === "unusable" || validate(input)) return undefined;
  // The log has this message, and may have nothing of what was sent or written.
  const [fault] = validate.errors ?? [];
  return `The model wrote a tool call that the tool's schema refuses: "${fault?.keyword ?? "schema"}" does not hold`;
}

function compile({ $schema, ...rest }: JsonObject): ValidateFunction | "unusable" {
  const drafts = [() => new Ajv2020(OPTIONS), () => new Ajv(OPTIONS)];
  if (typeof $schema === "string" && OLDER.test($schema)) drafts.reverse();
  for (const draft of drafts) {
    try {
      return draft().compile(rest);
    } catch {
      // Perhaps it is of the other.
    }
  }
  return "unusable";
}
