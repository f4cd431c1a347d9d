/**
 * Prompts of `/completion` and `/v1/completions`, which the model continues as they are, without its chat template: texts,
 * token ids, or both in a row.
 */
import { z } from "zod";
import { invalid, unsupported } from "../api_error.ts";
import type { DaemonLink, ServedModel } from "../daemon_link.ts";

export const MAX_PROMPTS = 64;

/** A text, or texts and token ids in a row. */
export type RawPrompt = string | readonly (string | number)[];

const part = z.union([z.string(), z.int().min(0)]);

/** One prompt, or a list of several; a list that has a token id itself is one. */
export const promptField = z.union([z.string(), z.array(z.union([part, z.array(part).min(1)])).min(1)]);

/** @throws {ApiError} If there are too many, or one is empty. */
export function readPrompts(given: z.output<typeof promptField>): RawPrompt[] {
  const prompts = promptsIn(given);
  if (prompts.length > MAX_PROMPTS) throw invalid("prompt", `must have at most ${MAX_PROMPTS} prompts`);
  if (prompts.some((prompt) => [prompt].flat().every((one) => one === ""))) {
    throw invalid("prompt", "must not be empty");
  }
  return prompts;
}

function promptsIn(given: z.output<typeof promptField>): RawPrompt[] {
  if (typeof given === "string") return [given];
  const several = given.filter((one) => typeof one !== "number");
  if (several.length === given.length) return several;
  const parts = given.filter((one): one is string | number => !Array.isArray(one));
  if (parts.length < given.length) throw invalid("prompt", "must be one prompt or a list of prompts, not both");
  return [parts];
}

/** @throws {ApiError} If the model cannot fill in text. */
export function checkInfill({ name, backends: [{ infill }] }: ServedModel): void {
  if (!infill) throw unsupported("suffix", `the model ${JSON.stringify(name)} has no tokens to fill in text`);
}

/** The prompts as text. */
export async function textsOf(
  prompts: readonly RawPrompt[],
  link: DaemonLink,
  options: { readonly model: string; readonly signal: AbortSignal },
): Promise<string[]> {
  return await Promise.all(prompts.map(async (prompt) => {
    if (typeof prompt === "string") return prompt;
    const client = await link.client("v2");
    const texts = await Promise.all(
      runsOf(prompt).map((run) => typeof run === "string" ? run : client.detokenize(run, options)),
    );
    return texts.join("");
  }));
}

/** Texts, and the token ids between them. */
function runsOf(parts: readonly (string | number)[]): (string | number[])[] {
  const runs: (string | number[])[] = [];
  for (const one of parts) {
    const last = runs.at(-1);
    if (typeof one === "string") runs.push(one);
    else if (Array.isArray(last)) last.push(one);
    else runs.push([one]);
  }
  return runs;
}
