/** Families that write calls as JSON between tokens of their own, and one that has a notation of its own. */
import { EVERY, type Family, THINK, TOKENS } from "./family.ts";
import { ARGUMENTS, CONTENT, eachCall, NAME, section, template, thought, TOOL_LINES, when, write } from "./parts.ts";

/** Ids say function and number, and results are known by them (Kimi K2). */
export const KIMI: Family = {
  name: "Kimi",
  template: template({
    tools: "<|im_system|>tool_declare<|im_middle|>{{ tools | tojson }}<|im_end|>",
    system: `<|im_system|>system<|im_middle|>${CONTENT}<|im_end|>`,
    user: `<|im_user|>user<|im_middle|>${CONTENT}<|im_end|>`,
    result: `<|im_system|>tool<|im_middle|>Of {{ message.tool_call_id }}:\n${CONTENT}<|im_end|>`,
    assistant: "<|im_assistant|>assistant<|im_middle|>" +
      thought("<think>", "</think>") + CONTENT + section(
        "<|tool_calls_section_begin|>",
        eachCall(`<|tool_call_begin|>{{ call.id }}<|tool_call_argument_begin|>${ARGUMENTS}<|tool_call_end|>`),
        "<|tool_calls_section_end|>",
      ) + "<|im_end|>",
    prompt: "<|im_assistant|>assistant<|im_middle|>",
  }),
  bos: "[BOS]",
  eos: "<|im_end|>",
  control: ["[BOS]", "<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>"],
  ends: ["<|im_end|>"],
  markers: [
    ...THINK,
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
  ],
  markersAre: TOKENS,
};

const DEEPSEEK = {
  begin: "{{ bos_token }}",
  tools: TOOL_LINES,
  system: CONTENT,
  user: `<｜User｜>${CONTENT}`,
  result: `<｜tool▁output▁begin｜>${CONTENT}<｜tool▁output▁end｜>`,
};
const DEEPSEEK_TOKENS = {
  bos: "<｜begin▁of▁sentence｜>",
  eos: "<｜end▁of▁sentence｜>",
  addsBos: true,
  control: [
    ...["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"],
    ...["<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"],
  ],
  ends: ["<｜end▁of▁sentence｜>"],
  markers: [
    ...THINK,
    ...["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"],
    "<｜tool▁sep｜>",
  ],
};

/** The prompt opens a thought or closes one (DeepSeek V3.1). */
export const DEEPSEEK_V31: Family = {
  name: "DeepSeek V3.1",
  template: template({
    ...DEEPSEEK,
    assistant: "<｜Assistant｜>" + when("message.reasoning_content", "<think>{{ message.reasoning_content }}") +
      `</think>${CONTENT}` + section(
        "<｜tool▁calls▁begin｜>",
        eachCall(`<｜tool▁call▁begin｜>${NAME}<｜tool▁sep｜>${ARGUMENTS}<｜tool▁call▁end｜>`),
        "<｜tool▁calls▁end｜>",
      ) + "{{ eos_token }}",
    prompt: "<｜Assistant｜>" + when("thinking is defined and thinking", "<think>", "</think>"),
  }),
  ...DEEPSEEK_TOKENS,
  markersAre: ["control", "defined", "text"],
};

/** Arguments are a block of code, and thoughts are not shown again (DeepSeek R1). */
export const DEEPSEEK_R1: Family = {
  name: "DeepSeek R1",
  template: template({
    ...DEEPSEEK,
    assistant: `<｜Assistant｜>${CONTENT}` + section(
      "<｜tool▁calls▁begin｜>",
      eachCall(
        `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${NAME}\n\`\`\`json\n${ARGUMENTS}\n\`\`\`<｜tool▁call▁end｜>`,
        "\n",
      ),
      "<｜tool▁calls▁end｜>",
    ) + "{{ eos_token }}",
    prompt: "<｜Assistant｜><think>\n",
  }),
  ...DEEPSEEK_TOKENS,
  markersAre: TOKENS,
};

/** A call is its name and, under it, its arguments (Apertus). */
export const KEYED: Family = {
  name: "keyed",
  template: template({
    begin: "{{ bos_token }}",
    tools: `<|developer_start|>Deliberation: ${
      when("enable_thinking is defined and enable_thinking", "enabled", "disabled")
    }\n${TOOL_LINES}<|developer_end|>`,
    system: `<|system_start|>${CONTENT}<|system_end|>`,
    user: `<|user_start|>${CONTENT}<|user_end|>`,
    result: `[${CONTENT}]`,
    assistant: "<|assistant_start|>" + thought("<|inner_prefix|>", "<|inner_suffix|>", "thinking") + CONTENT +
      section("<|tools_prefix|>[", eachCall(`{"${NAME}": ${ARGUMENTS}}`, ", "), "]<|tools_suffix|>") +
      "<|assistant_end|>",
    prompt: "<|assistant_start|>" + when("enable_thinking is defined and enable_thinking", "<|inner_prefix|>"),
  }),
  bos: "<s>",
  eos: "<|assistant_end|>",
  addsBos: true,
  control: [
    ...["<s>", "<|developer_start|>", "<|developer_end|>", "<|system_start|>", "<|system_end|>"],
    ...["<|user_start|>", "<|user_end|>", "<|assistant_start|>", "<|assistant_end|>"],
  ],
  ends: ["<|assistant_end|>", "<|tools_suffix|>"],
  markers: ["<|inner_prefix|>", "<|inner_suffix|>", "<|tools_prefix|>", "<|tools_suffix|>"],
  markersAre: TOKENS,
};

const WRITTEN = '{% macro written(value) %}{% if value is string %}<|"|>{{ value }}<|"|>' +
  "{% elif value is mapping %}{{ '{' }}{% for key, inner in value | dictsort %}" +
  "{% if not loop.first %},{% endif %}{{ key }}:{{ written(inner) }}{% endfor %}{{ '}' }}" +
  "{% elif value is sequence %}[{% for inner in value %}{% if not loop.first %},{% endif %}{{ written(inner) }}" +
  "{% endfor %}]{% else %}{{ value | tojson }}{% endif %}{% endmacro %}";

/** Bare keys in their order, and quotes that are a token (Gemma 4). */
export const GEMMA: Family = {
  name: "Gemma",
  template: WRITTEN + template({
    begin: "{{ bos_token }}" +
      when("enable_thinking is defined and enable_thinking", "<|turn>system\n<|think|><turn|>\n"),
    tools: `<|turn>system\n${TOOL_LINES}<turn|>\n`,
    system: `<|turn>system\n${CONTENT}<turn|>\n`,
    user: `<|turn>user\n${CONTENT}<turn|>\n`,
    result: '<|tool_response>response:{{ message.name }}{value:<|"|>{{ message.content }}<|"|>}<tool_response|>',
    assistant: "<|turn>model\n" + thought("<|channel>thought\n", "\n<channel|>") + CONTENT +
      eachCall(`<|tool_call>call:${NAME}{{ written(call.function.arguments) }}<tool_call|>`) +
      when("not message.tool_calls", "<turn|>\n"),
    prompt: when(
      "messages[-1].role != 'tool'",
      "<|turn>model\n" + when("enable_thinking is defined and not enable_thinking", "<|channel>thought\n<channel|>"),
    ),
  }),
  bos: "<bos>",
  eos: "<turn|>",
  addsBos: true,
  control: ["<bos>", "<|turn>", "<turn|>", "<|think|>"],
  ends: ["<turn|>", "<|tool_response>"],
  markers: [
    ...["<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>"],
    '<|"|>',
  ],
  markersAre: ["defined", "control"],
};

/** One call, after a token that begins it (GigaChat). */
export const ONE_CALL: Family = {
  name: "one call",
  template: template({
    tools: TOOL_LINES,
    system: `<|role|>system<|message|>${CONTENT}<|message_end|>`,
    user: `<|role|>user<|message|>${CONTENT}<|message_end|>`,
    result: `<|role|>result<|message|>${CONTENT}<|message_end|>`,
    assistant: `<|role|>assistant<|message|>${CONTENT}` +
      when(
        "message.tool_calls",
        "{% set call = message.tool_calls[0] %}" +
          write("\n") + `<|function_call|>{"name": "${NAME}", "arguments": ${ARGUMENTS}}`,
      ) +
      "<|message_end|>",
    prompt: "<|role|>assistant<|message|>",
  }),
  eos: "<|message_end|>",
  control: ["<|role|>", "<|message|>", "<|message_end|>"],
  ends: ["<|message_end|>"],
  markers: ["<|function_call|>"],
  markersAre: TOKENS,
};

/** One call, in a message whose header says that it is one (GigaChat 3). */
export const HEADED_CALL: Family = {
  name: "a header for a call",
  template: template({
    tools: TOOL_LINES,
    system: `system<|role_sep|>${CONTENT}<|message_sep|>`,
    user: `user<|role_sep|>${CONTENT}<|message_sep|>`,
    result: `result<|role_sep|>${CONTENT}<|message_sep|>`,
    assistant: `assistant<|role_sep|>${CONTENT}<|message_sep|>` + when(
      "message.tool_calls",
      "{% set call = message.tool_calls[0] %}" + write("\n\n") +
        `function call<|role_sep|>\n{"name": "${NAME}", "arguments": ${ARGUMENTS}}<|message_sep|>`,
    ),
    prompt: "assistant<|role_sep|>",
  }),
  eos: "</s>",
  control: ["</s>", "<|role_sep|>", "<|message_sep|>"],
  ends: ["</s>"],
  markers: [],
  markersAre: EVERY,
  // The end of a text ends the answer.
  textBeforeCalls: false,
};

/** Renders no calls, although it tells the model how to make them (Granite 3.3). */
export const TOLD: Family = {
  name: "Granite 3.3",
  template: template({
    tools: "<|start_of_role|>tools<|end_of_role|>If a tool fits, respond only with <|tool_call|> and a list.\n" +
      `${TOOL_LINES}<|end_of_text|>\n`,
    system: `<|start_of_role|>system<|end_of_role|>${CONTENT}<|end_of_text|>\n`,
    user: `<|start_of_role|>user<|end_of_role|>${CONTENT}<|end_of_text|>\n`,
    result: `<|start_of_role|>tool_response<|end_of_role|>${CONTENT}<|end_of_text|>\n`,
    assistant: `<|start_of_role|>assistant<|end_of_role|>${CONTENT}<|end_of_text|>\n`,
    prompt: "<|start_of_role|>assistant<|end_of_role|>",
  }),
  bos: "<|end_of_text|>",
  eos: "<|end_of_text|>",
  control: ["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"],
  ends: ["<|end_of_text|>"],
  markers: ["<|tool_call|>"],
  markersAre: ["control"],
};

/** Text that the template shows where a list of tools would be, and a word for what calls begin with (Firefunction). */
export const WORD: Family = {
  name: "a word",
  template: template({
    tools: TOOL_LINES,
    system: `<|role|>system\n${CONTENT}<|message_end|>`,
    user: `<|role|>user\n${CONTENT}<|message_end|>`,
    result: `<|role|>tool\n${CONTENT}<|message_end|>`,
    assistant: `<|role|>assistant\n${CONTENT}` +
      section(" functools[", eachCall(`{"name": "${NAME}", "arguments": ${ARGUMENTS}}`, ", "), "]") + "<|message_end|>",
    prompt: "<|role|>assistant\n",
  }),
  eos: "<|message_end|>",
  control: ["<|role|>", "<|message_end|>"],
  ends: ["<|message_end|>"],
  markers: [],
  markersAre: EVERY,
};
