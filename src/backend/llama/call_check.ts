/**
 * Looks at calls whose tool's schema could not be enforced while they were written. Loaded when there is one: no other
 * daemon needs a validator.
 */
import { Ajv, type Options, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { type Matcher, matcherOf, widerMatcherOf } from "../../grammar/language/matcher.ts";
import type { JsonObject, Tool } from "../../inference/request.ts";

/** Schemas of the drafts before 2020-12 have other keywords for lists. */
const OLDER = /draft-0[3-7]|2019-09/;

/** What is taken for a match where a pattern cannot be matched in linear time: all that may be one, or nothing. */
type Untold = "any" | "none";

interface Compiled {
  readonly validate: ValidateFunction;
  /** Whether all its patterns can be matched. */
  readonly isExact: boolean;
}

function optionsOf(untold: Untold, onUntold: () => void): Options {
  /** A stranger's pattern must not hold the daemon. */
  const matcher = (pattern: string): Matcher => {
    const exact = matcherOf(pattern);
    if (exact !== undefined) return exact;
    onUntold();
    return untold === "none" ? (): boolean => false : widerMatcherOf(pattern) ?? ((): boolean => true);
  };
  const regExp = Object.assign(
    (pattern: string) => ({
      test: matcher(pattern),
      // The validator tells patterns apart by this.
      toString: () => pattern,
    }),
    { code: "matcherOf" },
  );
  return { strict: false, logger: false, validateFormats: false, addUsedSchema: false, code: { regExp } };
}

/** Of tools that were called lately; `undefined` where a schema cannot be used for validation either. */
const known = new WeakMap<object, readonly ValidateFunction[] | "unusable">();

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
  let validators = known.get(inputSchema);
  if (validators === undefined) known.set(inputSchema, validators = compile(inputSchema));
  // Where a pattern cannot be told, a call is refused if it is whether or not the pattern matches.
  if (validators === "unusable" || validators.some((validate) => validate(input))) return undefined;
  // The log has this message, and may have nothing of what was sent or written.
  const [fault] = validators[0]?.errors ?? [];
  return `The model wrote a tool call that the tool's schema refuses: "${fault?.keyword ?? "schema"}" does not hold`;
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
  const drafts = [() => new Ajv2020(options), () => new Ajv(options)];
  if (typeof $schema === "string" && OLDER.test($schema)) drafts.reverse();
  for (const draft of drafts) {
    try {
      return { validate: draft().compile(rest), isExact };
    } catch {
      // Perhaps it is of the other.
    }
  }
  return undefined;
}
