/**
 * The chat templates that come with llama.cpp's source, and what is known of the vocabularies of the families that they
 * are of: which tokens begin and end, which are control tokens, and which the vocabulary defines beside its text.
 */
import { join } from "@std/path";
import { modelOf, type TestModel } from "../chat_model.ts";

/** One template and its family. */
export interface Published {
  /** Its file in llama.cpp's source, without its ending. */
  readonly file: string;
  readonly bos?: string;
  readonly eos: string;
  readonly addsBos?: boolean;
  /** Control tokens beside those that begin and end a text. */
  readonly control?: readonly string[];
  /** What looks like `<|this|>` in the template is a control token too. */
  readonly tagged?: boolean;
  readonly defined?: readonly string[];
  /** Further tokens that end an answer. */
  readonly ends?: readonly string[];
  /** Variables for thinking that its documentation names beside `enable_thinking`. */
  readonly documented?: (thinking: boolean) => Readonly<Record<string, unknown>>;
  /** Ids of calls as its documentation wants them. */
  readonly ids?: "numbered";
  /** It takes tools, and the time, as text. */
  readonly asText?: true;
}

const THINK = ["<think>", "</think>"];
const CALL = ["<tool_call>", "</tool_call>"];
const RESULT = ["<tool_response>", "</tool_response>"];
const ARGUMENT = ["<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"];

const chatml = (file: string, defined: readonly string[], more: Partial<Published> = {}): Published => ({
  file,
  eos: "<|im_end|>",
  control: ["<|im_start|>"],
  defined,
  ...more,
});
const qwen = (file: string, defined: readonly string[]): Published =>
  chatml(file, defined, {
    bos: "<|endoftext|>",
    control: [
      ...["<|im_start|>", "<|object_ref_start|>", "<|vision_start|>", "<|vision_end|>"],
      ...["<|image_pad|>", "<|video_pad|>"],
    ],
  });
const lfm = (file: string, defined: readonly string[] = []): Published =>
  chatml(file, defined, {
    bos: "<|startoftext|>",
    addsBos: true,
    control: [
      ...["<|im_start|>", "<|tool_list_start|>", "<|tool_list_end|>", "<|tool_call_start|>", "<|tool_call_end|>"],
      ...["<|tool_response_start|>", "<|tool_response_end|>"],
    ],
  });
const llama = (file: string, more: Partial<Published> = {}): Published => ({
  file,
  bos: "<|begin_of_text|>",
  eos: "<|eot_id|>",
  addsBos: true,
  control: ["<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|python_tag|>"],
  ...more,
});
const mistral = (file: string, more: readonly string[] = []): Published => ({
  file,
  bos: "<s>",
  eos: "</s>",
  addsBos: true,
  control: [
    ...["[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"],
    ...["[TOOL_CALLS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG]", "[TOOL_CONTENT]", "[ARGS]", "[CALL_ID]"],
    ...more,
  ],
});
const deepseek = (file: string, more: Partial<Published> = {}): Published => ({
  file,
  bos: "<｜begin▁of▁sentence｜>",
  eos: "<｜end▁of▁sentence｜>",
  addsBos: true,
  control: [
    ...["<｜User｜>", "<｜Assistant｜>", "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"],
    ...["<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>", "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>"],
    ...["<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"],
  ],
  defined: THINK,
  ...more,
});
const glm = (file: string): Published => ({
  file,
  bos: "[gMASK]",
  eos: "<|endoftext|>",
  control: ["<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
  defined: [...THINK, ...CALL, ...RESULT, ...ARGUMENT],
  ends: ["<|user|>"],
});
const kimi = (file: string, defined: readonly string[] = []): Published => ({
  file,
  bos: "[BOS]",
  eos: "<|im_end|>",
  control: [
    ...["[EOS]", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<|tool_calls_section_begin|>"],
    ...["<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"],
    ...["<|media_start|>", "<|media_content|>", "<|media_pad|>", "<|media_end|>"],
  ],
  defined,
  ids: "numbered",
});
/** Old conversions of Cohere's models define these beside the text. */
const COHERE_ROLES = ["<|START_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>"];
const cohere = (file: string, more: Partial<Published> = {}): Published => ({
  file,
  bos: "<BOS_TOKEN>",
  eos: "<|END_OF_TURN_TOKEN|>",
  addsBos: true,
  tagged: true,
  defined: COHERE_ROLES,
  ...more,
});
const granite = (file: string, more: Partial<Published> = {}): Published => ({
  file,
  bos: "<|end_of_text|>",
  eos: "<|end_of_text|>",
  control: ["<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>", "<|start_of_cite|>", "<|end_of_cite|>"],
  ...more,
});
const minimax = (file: string, defined: readonly string[]): Published => ({
  file,
  bos: "]~!b[",
  eos: "[e~[",
  control: ["]~b]"],
  defined,
});
const gemma = (file: string): Published => ({
  file,
  bos: "<bos>",
  eos: "<turn|>",
  addsBos: true,
  control: ["<|turn>", "<|think|>", "<|tool>", "<tool|>"],
  defined: [
    ...["<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'],
    ...["<|channel>", "<channel|>"],
  ],
});
const gigachat = (file: string, more: readonly string[] = []): Published => ({
  file,
  bos: "<s>",
  eos: "</s>",
  control: ["<|role_sep|>", "<|message_sep|>", ...more],
});
const laguna = (file: string): Published => ({
  file,
  bos: "〈|EOS|〉",
  eos: "</assistant>",
  control: ["<system>", "</system>", "<user>", "</user>", "<assistant>"],
  defined: [...THINK, ...CALL, ...RESULT, ...ARGUMENT],
});
const flag = (thinking: boolean): Readonly<Record<string, unknown>> => ({ thinking });
const flagAndEffort = (thinking: boolean): Readonly<Record<string, unknown>> => ({
  thinking,
  reasoning_effort: thinking ? "high" : "low",
});
const suffixed = (names: string): readonly string[] => names.split(" ").map((name) => `<${name}:opensource>`);

/** All of them. */
export const PUBLISHED: readonly Published[] = [
  { file: "Apertus-8B-Instruct", bos: "<s>", eos: "<|assistant_end|>", addsBos: true, tagged: true },
  {
    file: "Apriel-1.6-15b-Thinker-fixed",
    bos: "<s>",
    eos: "<|end|>",
    addsBos: true,
    tagged: true,
    defined: ["<tool_calls>", "</tool_calls>"],
  },
  {
    file: "unsloth-Apriel-1.5",
    bos: "<s>",
    eos: "<|end|>",
    addsBos: true,
    tagged: true,
    defined: ["<tool_calls>", "</tool_calls>", "<thinking>", "</thinking>"],
  },
  chatml("Bielik-11B-v3.0-Instruct", [...CALL, ...THINK], { bos: "<s>", addsBos: true, tagged: true }),
  {
    file: "ByteDance-Seed-OSS",
    bos: "<seed:bos>",
    eos: "<seed:eos>",
    control: [
      ...["<seed:pad>", "<seed:think>", "</seed:think>", "<seed:tool_call>", "</seed:tool_call>"],
      ...["<seed:cot_budget_reflect>", "</seed:cot_budget_reflect>"],
    ],
    documented: (thinking) => thinking ? {} : { thinking_budget: 0 },
  },
  cohere("Cohere2MoE", { documented: flag }),
  cohere("CohereForAI-c4ai-command-r-plus-tool_use"),
  cohere("CohereForAI-c4ai-command-r7b-12-2024-tool_use"),
  glm("GLM-4.6"),
  glm("GLM-4.7-Flash"),
  gigachat("GigaChat3-10B-A1.8B"),
  gigachat("GigaChat3.1-10B-A1.8B", ["<|function_call|>"]),
  chatml("HuggingFaceTB-SmolLM3-3B", [...THINK, ...CALL, ...RESULT], { bos: "<|begin_of_text|>" }),
  kimi("Kimi-K2-Instruct"),
  kimi("moonshotai-Kimi-K2"),
  kimi("Kimi-K2-Thinking", THINK),
  { file: "Kimi-K3", bos: "[BOS]", eos: "<|end_of_msg|>", tagged: true, documented: flag },
  lfm("LFM2-8B-A1B"),
  lfm("LFM2.5-Instruct", THINK),
  lfm("LFM2.5-8B-A1B", THINK),
  qwen("MiMo-VL", CALL),
  {
    file: "MiniMax-M1",
    bos: "<begin_of_document>",
    eos: "<end_of_sentence>",
    control: ["<beginning_of_sentence>"],
  },
  minimax("MiniMax-M2", ["<minimax:tool_call>", "</minimax:tool_call>", ...THINK]),
  minimax("MiniMax-M3", ["<mm:think>", "</mm:think>", ...CALL]),
  mistral("Mistral-Small-3.2-24B-Instruct-2506"),
  mistral("unsloth-mistral-Devstral-Small-2507"),
  mistral("mistralai-Ministral-3-14B-Reasoning-2512", ["[THINK]", "[/THINK]"]),
  mistral("mistralai-Mistral-Nemo-Instruct-2407"),
  chatml("NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", [...THINK, ...CALL, ...RESULT], { bos: "<s>" }),
  {
    file: "NVIDIA-Nemotron-Nano-v2",
    bos: "<s>",
    eos: "<SPECIAL_12>",
    control: ["<SPECIAL_10>", "<SPECIAL_11>"],
    defined: [
      ...[...THINK, "<TOOLCALL>", "</TOOLCALL>", "<AVAILABLE_TOOLS>", "</AVAILABLE_TOOLS>"],
      ...["<TOOL_RESPONSE>", "</TOOL_RESPONSE>"],
    ],
  },
  llama("NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", {
    eos: "<|im_end|>",
    control: ["<|im_start|>", "<|eot_id|>", "<|end_of_text|>"],
    defined: [...CALL, ...RESULT],
  }),
  llama("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", {
    eos: "<|im_end|>",
    control: ["<|im_start|>", "<|eot_id|>", "<|end_of_text|>"],
    defined: [...CALL, ...RESULT],
  }),
  qwen("Qwen-QwQ-32B", [...CALL, ...THINK]),
  qwen("Qwen-Qwen2.5-7B-Instruct", CALL),
  qwen("Qwen-Qwen3-0.6B", [...CALL, ...THINK, ...RESULT]),
  qwen("Qwen3-Coder", [...CALL, ...THINK, ...RESULT]),
  qwen("Qwen3.5-4B", [...CALL, ...THINK, ...RESULT]),
  {
    file: "Reka-Edge",
    bos: "<|endoftext|>",
    eos: "<|endoftext|>",
    control: ["<sep>"],
    defined: [...THINK, ...CALL, ...RESULT],
  },
  chatml("StepFun3.5-Flash", [...THINK, ...CALL, ...RESULT], { bos: "<｜begin▁of▁sentence｜>", addsBos: true }),
  deepseek("deepseek-ai-DeepSeek-R1-Distill-Llama-8B"),
  deepseek("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"),
  deepseek("llama-cpp-deepseek-r1"),
  deepseek("deepseek-ai-DeepSeek-V3.1", { documented: flag }),
  deepseek("deepseek-ai-DeepSeek-V3.2", { defined: [...THINK, "｜DSML｜"], documented: flag }),
  deepseek("deepseek-ai-DeepSeek-V4", { defined: [...THINK, "｜DSML｜"], documented: flagAndEffort }),
  deepseek("deepseek-ai-DeepSeek-V4-Flash-0731", { defined: [...THINK, "｜DSML｜"], documented: flagAndEffort }),
  llama("fireworks-ai-llama-3-firefunction-v2", { asText: true }),
  {
    file: "google-gemma-2-2b-it",
    bos: "<bos>",
    eos: "<eos>",
    addsBos: true,
    control: ["<start_of_turn>", "<end_of_turn>"],
    ends: ["<end_of_turn>"],
  },
  gemma("google-gemma-4-31B-it"),
  gemma("google-gemma-4-31B-it-interleaved"),
  granite("ibm-granite-granite-3.3-2B-Instruct", { documented: flag }),
  granite("ibm-granite-granite-4.0", { defined: [...CALL, ...RESULT] }),
  granite("ibm-granite-granite-4.1", { defined: [...CALL, ...RESULT] }),
  { file: "llama-cpp-rwkv-world", bos: "<|begin_of_text|>", eos: "<|end_of_text|>" },
  llama("meetkai-functionary-medium-v3.1"),
  llama("meetkai-functionary-medium-v3.2"),
  llama("meta-llama-Llama-3.1-8B-Instruct"),
  llama("meta-llama-Llama-3.2-3B-Instruct"),
  llama("meta-llama-Llama-3.3-70B-Instruct"),
  {
    file: "microsoft-Phi-3.5-mini-instruct",
    bos: "<s>",
    eos: "<|endoftext|>",
    control: ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"],
  },
  {
    file: "muse-glimmer",
    bos: "<|begin_of_text|>",
    eos: "<|eot|>",
    addsBos: true,
    control: ["<|start|>", "<|message|>", "<|eom|>", "<|patch|>", "<|video|>"],
  },
  {
    file: "openai-gpt-oss-120b",
    bos: "<|startoftext|>",
    eos: "<|return|>",
    control: ["<|start|>", "<|message|>", "<|end|>", "<|channel|>", "<|call|>", "<|constrain|>", "<|endoftext|>"],
    documented: (thinking) => ({ reasoning_effort: thinking ? "medium" : "low" }),
  },
  chatml("openbmb-MiniCPM5-1B", THINK, { bos: "<s>" }),
  laguna("poolside-Laguna-S-2.1"),
  laguna("poolside-Laguna-XS-2.1"),
  laguna("poolside-Laguna-XS.2"),
  {
    file: "tencent-Hy3",
    bos: "<｜hy_begin_of_sentence:opensource｜>",
    eos: "<｜hy_eos:opensource｜>",
    control: [
      ...["<｜hy_User:opensource｜>", "<｜hy_Assistant:opensource｜>", "<｜reasoning_mode:opensource｜>"],
      "<｜hy_pad:opensource｜>",
    ],
    defined: suffixed(
      "think /think tool_calls /tool_calls tool_call /tool_call tool_sep arg_key /arg_key arg_value /arg_value " +
        "tool_responses /tool_responses tool_response /tool_response",
    ),
    documented: (thinking) => ({ reasoning_effort: thinking ? "high" : "no_think" }),
  },
  {
    file: "upstage-Solar-Open-100B",
    bos: "<s>",
    eos: "<|end|>",
    tagged: true,
    documented: (thinking) => ({ reasoning_effort: thinking ? "high" : "low" }),
  },
];

/** llama.cpp takes tokens of these names for the end of an answer, whatever the file says. */
const ENDING = [
  ...["<|eot_id|>", "<|im_end|>", "<|end|>", "<turn|>", "<|tool_response>", "<|return|>", "<|call|>", "<|eom_id|>"],
  ...["<|endoftext|>", "<end_of_turn>", "<|end_of_text|>"],
];

/** A template's text, as llama.cpp's source has it. */
export async function readTemplate(folder: string, file: string): Promise<string> {
  return await Deno.readTextFile(join(folder, "models", "templates", `${file}.jinja`));
}

/** A model of a family, without weights. */
export function publishedModel(published: Published, template: string): TestModel {
  const { bos, eos, addsBos = false, control = [], tagged = false, defined = [], ends = [] } = published;
  const tags = tagged ? template.match(/<\|[^|<>\s{}]+\|>/g) ?? [] : [];
  const all = [...tags, ...control, ...(bos === undefined ? [] : [bos]), eos].filter((name) => !defined.includes(name));
  // gpt-oss ends its messages with what ends other families' answers.
  const ending = ENDING.filter((name) => name !== "<|end|>" || !all.includes("<|return|>"));
  return modelOf({
    template,
    ...(bos === undefined ? {} : { bos }),
    eos,
    addsBos,
    control: all,
    defined,
    ends: [eos, ...ends, ...ending.filter((name) => all.includes(name) || defined.includes(name))],
  });
}
