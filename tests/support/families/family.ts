/** A family of models as the tests know it, and models of it without weights. */
import { modelOf, type ModelParts, type TestModel } from "../chat_model.ts";

/** What a vocabulary may have for the markers of thoughts and calls. */
export type MarkerKind = "control" | "defined" | "text";

/** One family. */
export interface Family extends Omit<ModelParts, "template" | "defined"> {
  readonly name: string;
  readonly template: string;
  /** Names of the markers of thoughts and calls. */
  readonly markers: readonly string[];
  /** What they may be for answers to be read; models have the first. */
  readonly markersAre: readonly MarkerKind[];
  /** Whether text may come before calls in one answer; it may unless it is said. */
  readonly textBeforeCalls?: boolean;
}

/** Markers that are matched whatever they are. */
export const EVERY: readonly MarkerKind[] = ["defined", "control", "text"];
/** Markers that a model has as tokens. */
export const TOKENS: readonly MarkerKind[] = ["control", "defined"];

/** Text as vocabularies have it in one token, across what a family would have apart. */
export const MERGED: readonly string[] = [
  ...[
    '{"',
    '"}',
    '"}}',
    "}}",
    '":',
    '": ',
    '": "',
    '", "',
    '"name',
    '{"name',
    "}]",
    "[{",
    '[{"',
    '{"city',
    "arguments",
  ],
  ...[
    "</",
    ">\n",
    ">\n<",
    "}\n",
    "}\n</",
    "\n\n",
    "\n</",
    "=get",
    "=search",
    ".get",
    ".search",
    "_weather",
    " to",
    "function",
  ],
  ...[
    "parameter",
    "parameter=",
    "invoke",
    " name",
    '="',
    '">',
    "')",
    "='",
    "('",
    ")]",
    "(city",
    "{city",
    ":get",
    "```",
    "\n```",
  ],
  ...[
    "_call",
    "_call>",
    "_call>\n",
    "<tool",
    "<function",
    "think>",
    ">>>",
    ">>>get",
    "json",
    " json",
    "call:",
    "\n{",
    '\n{"',
  ],
];

/**
 * A model of a family.
 *
 * @param as What its markers are.
 * @param texts Texts that are one token.
 */
export function familyModel(
  { markers, markersAre, control, textBeforeCalls: _, ...parts }: Family,
  as: MarkerKind = markersAre[0] as MarkerKind,
  texts: readonly string[] = [],
): TestModel {
  return modelOf({
    ...parts,
    texts,
    control: as === "control" ? [...control, ...markers] : control,
    defined: as === "defined" ? markers : [],
  });
}

/** Markers that many families share. */
export const THINK = ["<think>", "</think>"];
export const TOOL_CALL = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"];
