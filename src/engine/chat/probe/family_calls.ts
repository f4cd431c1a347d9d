/**
 * Call syntax of families that call tools although their chat template renders no calls. Each row says why it is
 * needed.
 */
import type { CallForm } from "../dialect/dialect.ts";
import type { SpecialTokens } from "../dialect/marker.ts";

interface Family {
  /** Whether a template and a vocabulary belong to this family. */
  readonly fits: (source: string, specials: SpecialTokens) => boolean;
  readonly call: (specials: SpecialTokens) => CallForm;
}

const FAMILIES: readonly Family[] = [
  {
    // LFM2, LFM2.5: the template lists tools and renders results; calls must already be in the content.
    fits: (source, specials) => specials.get("<|tool_call_start|>") !== undefined && source.includes("List of tools: "),
    call: (specials) => ({
      marker: specials.marker("<|tool_call_start|>"),
      sectionOpen: specials.marker("<|tool_call_start|>["),
      head: [{ type: "name" }],
      arguments: { type: "python", quote: "'" },
      tail: [],
      between: [", "],
      sectionClose: specials.marker("]<|tool_call_end|>"),
      several: true,
      ids: "any",
    }),
  },
  {
    // Granite 3.3: the template asks for this token and a list, but does not render past calls.
    fits: (source, specials) =>
      specials.get("<|tool_call|>") !== undefined && source.includes("respond only with <|tool_call|>"),
    call: (specials) => ({
      marker: specials.marker("<|tool_call|>"),
      sectionOpen: specials.marker("<|tool_call|>["),
      ...nameAndArguments,
      between: [", "],
      sectionClose: ["]"],
      ids: "any",
    }),
  },
  {
    // Phi-4-mini: the template lists tools between dedicated tokens, but does not render past calls.
    fits: (source, specials) =>
      ["<|tool_call|>", "<|/tool_call|>"].every((name) => specials.get(name) !== undefined) &&
      source.includes("<|tool|>"),
    call: (specials) => ({
      marker: specials.marker("<|tool_call|>"),
      sectionOpen: specials.marker("<|tool_call|>["),
      ...nameAndArguments,
      between: [", "],
      sectionClose: specials.marker("]<|/tool_call|>"),
      ids: "any",
    }),
  },
  {
    // SmolLM3: the template of many conversions omits the tools that the family was trained with.
    // Falcon-H1: the template asks for these tags, but does not render past calls.
    fits: (source, specials) =>
      specials.get("<tool_call>") !== undefined && source.includes("named SmolLM") || source.includes("<args-dict>"),
    call: (specials) => ({
      marker: specials.marker("<tool_call>"),
      sectionOpen: [],
      ...nameAndArguments,
      head: [{ type: "text", text: specials.marker('<tool_call>\n{"name": "') }, ...nameAndArguments.head.slice(1)],
      tail: [{ type: "text", text: ["}\n", ...specials.marker("</tool_call>")] }],
      between: ["\n"],
      sectionClose: [],
      ids: "any",
    }),
  },
];

const nameAndArguments = {
  head: [{ type: "text", text: ['{"name": "'] }, { type: "name" }, { type: "text", text: ['", "arguments": '] }],
  arguments: { type: "json" },
  tail: [{ type: "text", text: ["}"] }],
  several: true,
  object: { name: "name", input: "arguments" },
} as const;

/** Call syntax of a family whose template renders none. */
export function familyCalls(source: string, specials: SpecialTokens): CallForm | undefined {
  return FAMILIES.find(({ fits }) => fits(source, specials))?.call(specials);
}
