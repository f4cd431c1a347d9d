/**
 * What models are trained to write: turns of our own, as the families' chat templates render them, and how the answers
 * of a model with such a template are read. `record_templates.ts` made `template_recordings.json`.
 */
import {
  CHATML,
  GEMMA,
  HARMONY,
  LLAMA_32,
  MISTRAL,
  MISTRAL_ARGS,
  MISTRAL_IDS,
  type ParserEvent,
  QWEN,
  QWEN_35,
  type Reading,
} from "./parsing.ts";
import recorded from "./template_recordings.json" with { type: "json" };

/** One turn. */
export interface TemplateRecording {
  /** Which of the turns that were rendered. */
  readonly turn: string;
  /** Present where the prompt has begun the thought. */
  readonly start?: "thought";
  readonly text: string;
  /** Follows where the model ends its turn. */
  readonly end: string;
}

/** What one template made of the turns. */
export interface TemplateRecordings {
  readonly family: string;
  /** Its file in llama.cpp's source. */
  readonly template: string;
  readonly sha256: string;
  readonly recordings: readonly TemplateRecording[];
  /** Turns that it cannot render, and what it does with them. */
  readonly cannot: Readonly<Record<string, string>>;
}

/** What was said, by the name of the turn. */
export type Turns = Readonly<Record<string, readonly Exclude<ParserEvent, string>[]>>;

/** All that was recorded. */
export interface TemplateFixture {
  readonly turns: Turns;
  readonly templates: readonly TemplateRecordings[];
}

/** All that was recorded. */
export const FROM_TEMPLATES = recorded as TemplateFixture;

/** By template, how the daemon reads what its model writes; `tests/heavy` compares it with the template itself. */
export const READINGS: Readonly<Record<string, Reading>> = {
  "Qwen-Qwen2.5-7B-Instruct.jinja": QWEN,
  "Qwen-Qwen3-0.6B.jinja": QWEN,
  "Qwen3-Coder.jinja": QWEN_35,
  "Qwen3.5-4B.jinja": QWEN_35,
  "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use.jinja": QWEN,
  "NousResearch-Hermes-3-Llama-3.1-8B-tool_use.jinja": QWEN,
  "meta-llama-Llama-3.1-8B-Instruct.jinja": LLAMA_32,
  "meta-llama-Llama-3.2-3B-Instruct.jinja": LLAMA_32,
  "meta-llama-Llama-3.3-70B-Instruct.jinja": LLAMA_32,
  "mistralai-Mistral-Nemo-Instruct-2407.jinja": MISTRAL,
  "Mistral-Small-3.2-24B-Instruct-2506.jinja": MISTRAL_IDS,
  "unsloth-mistral-Devstral-Small-2507.jinja": MISTRAL_ARGS,
  "mistralai-Ministral-3-14B-Reasoning-2512.jinja": MISTRAL_ARGS,
  "google-gemma-2-2b-it.jinja": { ...CHATML, calls: "ignore" },
  "google-gemma-4-31B-it.jinja": GEMMA,
  "openai-gpt-oss-120b.jinja": HARMONY,
};
