/**
 * Validates calls of tools whose schema could not be enforced during decoding. Imported on first use, so that daemons
 * without such tools do not load a validator.
 */
import { Ajv, type Options, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { isWithin } from "../../grammar/json_schema/json_numbers.ts";
import { type Matcher, matcherOf, widerMatcherOf } from "../../grammar/language/matcher.ts";
import type { JsonObject, Tool } from "../../inference/request.ts";

/** Drafts before 2020-12 use other keywords for arrays. */
const OLDER = /draft-0[3-7]|2019-09/;

/** Assumed result where a pattern cannot be matched in linear time. */
type Untold = "any" | "none";

interface Compiled {
  readonly validate: ValidateFunction;
  /** Whether all of its patterns can be matched. */
  readonly isExact: boolean;
}

function optionsOf(untold: Untold, onUntold: () => void): Options {
  /** A caller's pattern must not block the daemon. */
  const matcher = (pattern: string): Matcher => {
    const exact = matcherOf(pattern);
    if (exact !== undefined) return exact;
    onUntold();
    return untold === "none" ? (): boolean => false : widerMatcherOf(pattern) ?? ((): boolean => true);
  };
  const regExp = Object.assign(
    (pattern: string) => ({
      test: matcher(pattern),
      // The validator's cache key for patterns.
      toString: () => pattern,
    }),
    { code: "matcherOf" },
  );
  return { strict: false, logger: false, validateFormats: false, addUsedSchema: false, code: { regExp } };
}

/** Numbers are multiples as they are written: the validator divides binary fractions, to which 4.1 is none of 0.01. */
function withDecimals(ajv: Ajv | Ajv2020): Ajv | Ajv2020 {
  return ajv.removeKeyword("multipleOf").addKeyword({
    keyword: "multipleOf",
    type: "number",
    schemaType: "number",
    metaSchema: { exclusiveMinimum: 0 },
    errors: false,
    validate: (step: number, value: number) => isWithin(value, { multipleOf: [step] }),
  });
}

/** Cache by tool; `unusable` where a schema cannot be used for validation either. */
const known = new WeakMap<object, readonly ValidateFunction[] | "unusable">();

/**
 * Explain what is wrong with a call.
 *
 * @returns A message for the caller; `undefined` if the arguments are valid or cannot be validated.
 */
export function toolCallFault(tools: readonly Tool[], name: string, input: JsonObject): string | undefined {
  const tool = tools.find((tool) => tool.name === name);
  if (tool === undefined) return undefined;
  const { inputSchema } = tool;
  const validators = known.getOrInsertComputed(inputSchema, () => compile(inputSchema));
  // Where a pattern cannot be matched, the call is refused only if it is invalid whether or not the pattern matches.
  if (validators === "unusable" || validators.some((validate) => validate(input))) return undefined;
  // The log repeats this message and must not hold any request or answer text.
  const [fault] = validators[0]?.errors ?? [];
  return `The model's tool call does not match the tool's schema: "${fault?.keyword ?? "schema"}" is violated`;
}

function compile(schema: JsonObject): readonly ValidateFunction[] | "unusable" {
  const one = compileWith(schema, "any");
  if (one === undefined) return "unusable";
  const other = one.isExact ? undefined : compileWith(schema, "none");
  return [one, other].flatMap((compiled) => compiled === undefined ? [] : [compiled.validate]);
}

function compileWith({ $schema, ...rest }: JsonObject, untold: Untold): Compiled | undefined {
  let isExact = true;
  const options = optionsOf(untold, () => isExact = false);
  const drafts = [() => withDecimals(new Ajv2020(options)), () => withDecimals(new Ajv(options))];
  if (typeof $schema === "string" && OLDER.test($schema)) drafts.reverse();
  for (const draft of drafts) {
    try {
      return { validate: draft().compile(rest), isExact };
    } catch {
      // The schema may be of the other draft.
    }
  }
  return undefined;
}
