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

/** A model of a family. */
export function familyModel(
  { markers, markersAre, control, ...parts }: Family,
  as: MarkerKind = markersAre[0] as MarkerKind,
): TestModel {
  return modelOf({
    ...parts,
    control: as === "control" ? [...control, ...markers] : control,
    defined: as === "defined" ? markers : [],
  });
}

/** Markers that many families share. */
export const THINK = ["<think>", "</think>"];
export const TOOL_CALL = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"];
