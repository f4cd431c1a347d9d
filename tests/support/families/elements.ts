/** Families that write an element for each argument. */
import { EVERY, type Family, THINK, TOKENS, TOOL_CALL } from "./family.ts";
import {
  CONTENT,
  eachArgument,
  eachCall,
  NAME,
  section,
  template,
  thought,
  TOOL_LINES,
  VALUE,
  when,
  write,
} from "./parts.ts";

const ARGUMENT_TAGS = ["<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"];

/** A key and a value in tags of their own (GLM 4.5 to 4.7, Laguna). */
export const KEYS_AND_VALUES: Family = {
  name: "keys and values",
  template: template({
    begin: "[gMASK]<sop>",
    tools: `<|system|>\nYou may call:\n${TOOL_LINES}`,
    system: `<|system|>\n${CONTENT}`,
    user: `<|user|>\n${CONTENT}`,
    result: `<|observation|>\n<tool_response>\n${CONTENT}\n</tool_response>`,
    assistant: "<|assistant|>" + thought(`${write("\n")}<think>`, "</think>") +
      when("message.content", write("\n") + CONTENT) +
      eachCall(
        `${write("\n")}<tool_call>${NAME}\n${
          eachArgument(`<arg_key>{{ key }}</arg_key>\n<arg_value>${VALUE}</arg_value>\n`)
        }</tool_call>`,
      ),
    prompt: "<|assistant|>" +
      when("enable_thinking is defined and not enable_thinking", `${write("\n")}<think></think>`),
  }),
  bos: "[gMASK]",
  eos: "<|endoftext|>",
  control: ["[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "<|endoftext|>"],
  ends: ["<|endoftext|>", "<|user|>"],
  markers: [...THINK, ...TOOL_CALL, ...ARGUMENT_TAGS],
  markersAre: EVERY,
};

/** The same in a section (Hunyuan). */
export const KEYS_IN_SECTION: Family = {
  name: "keys and values in a section",
  template: template({
    tools: `<|hy_system|>${TOOL_LINES}`,
    system: `<|hy_system|>${CONTENT}`,
    user: `<|hy_user|>${CONTENT}`,
    result: `<|hy_user|><tool_responses>\n<tool_response>${CONTENT}</tool_response>\n</tool_responses>`,
    assistant: "<|hy_assistant|>" + thought("<think>", "</think>") + CONTENT + section(
      "<tool_calls>\n",
      eachCall(
        `<tool_call>${NAME}<tool_sep>\n${
          eachArgument(`<arg_key>{{ key }}</arg_key>\n<arg_value>${VALUE}</arg_value>\n`)
        }</tool_call>\n`,
      ),
      "</tool_calls>",
    ) + "<|hy_eos|>",
    prompt: "<|hy_assistant|>" + when("reasoning_effort == 'no_think'", "<think></think>"),
  }),
  eos: "<|hy_eos|>",
  control: ["<|hy_system|>", "<|hy_user|>", "<|hy_assistant|>", "<|hy_eos|>"],
  ends: ["<|hy_eos|>"],
  markers: [...THINK, ...TOOL_CALL, ...ARGUMENT_TAGS, "<tool_calls>", "</tool_calls>", "<tool_sep>"],
  markersAre: EVERY,
};

const INVOKE = `<｜DSML｜invoke name="${NAME}">\n${
  eachArgument(
    `<｜DSML｜parameter name="{{ key }}" string="{{ 'true' if value is string else 'false' }}">${VALUE}</｜DSML｜parameter>\n`,
  )
}</｜DSML｜invoke>\n`;

/** Each element says whether its value is a string (DeepSeek V3.2, V4). */
export const DSML: Family = {
  name: "DSML",
  template: template({
    begin: "{{ bos_token }}",
    tools: TOOL_LINES,
    system: CONTENT,
    user: `<｜User｜>${CONTENT}`,
    result: `<｜User｜><result>${CONTENT}</result>`,
    assistant: "<｜Assistant｜>" + when("message.reasoning_content", "<think>{{ message.reasoning_content }}") +
      `</think>${CONTENT}` +
      section(`${write("\n\n")}<｜DSML｜function_calls>\n`, eachCall(INVOKE), "</｜DSML｜function_calls>") +
      "{{ eos_token }}",
    prompt: "<｜Assistant｜>" + when("thinking", "<think>", "</think>"),
  }),
  bos: "<｜begin▁of▁sentence｜>",
  eos: "<｜end▁of▁sentence｜>",
  addsBos: true,
  control: ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"],
  ends: ["<｜end▁of▁sentence｜>"],
  markers: [...THINK, "｜DSML｜"],
  markersAre: EVERY,
};

const MINIMAX = {
  tools: `]~b]system\nYou may call:\n${TOOL_LINES}[e~[\n`,
  system: `]~b]system\n${CONTENT}[e~[\n`,
  user: `]~b]user\n${CONTENT}[e~[\n`,
  result: `]~b]tool\n<response>${CONTENT}</response>[e~[\n`,
};
const MINIMAX_TOKENS = {
  bos: "]~!b[",
  eos: "[e~[",
  control: ["]~!b[", "]~b]", "[e~["],
  ends: ["[e~["],
};

/** A section of elements with the names as attributes (MiniMax M2). */
export const INVOKES: Family = {
  name: "invokes",
  template: template({
    ...MINIMAX,
    begin: "]~!b[",
    assistant: "]~b]ai\n" + thought("<think>\n", "\n</think>\n\n") + CONTENT + section(
      `${write("\n")}<minimax:tool_call>\n`,
      eachCall(
        `<invoke name="${NAME}">\n${eachArgument(`<parameter name="{{ key }}">${VALUE}</parameter>\n`)}</invoke>\n`,
      ),
      "</minimax:tool_call>",
    ) + "[e~[\n",
    prompt: "]~b]ai\n<think>\n",
  }),
  ...MINIMAX_TOKENS,
  markers: [...THINK, "<minimax:tool_call>", "</minimax:tool_call>"],
  markersAre: EVERY,
};

/** Elements in elements, named after the arguments (MiniMax M3); a word of the request switches thinking. */
export const NESTED: Family = {
  name: "nested elements",
  template: "{% macro element(name, value) %}]<]minimax[>[<{{ name }}>" +
    "{% if value is mapping %}{% for key, inner in value | items %}{{ element(key, inner) }}{% endfor %}" +
    "{% elif value is sequence and value is not string %}" +
    "{% for inner in value %}{{ element('item', inner) }}{% endfor %}" +
    `{% else %}${VALUE}{% endif %}]<]minimax[>[</{{ name }}>{% endmacro %}` +
    template({
      ...MINIMAX,
      begin: "]~!b[",
      assistant: "]~b]ai\n" +
        thought("<mm:think>", "</mm:think>") + CONTENT + section(
          "]<]minimax[>[<tool_call>\n",
          eachCall(
            `]<]minimax[>[<invoke name="${NAME}">${eachArgument("{{ element(key, value) }}")}]<]minimax[>[</invoke>\n`,
          ),
          "]<]minimax[>[</tool_call>",
        ) + "[e~[\n",
      prompt: "]~b]ai\n" + when("thinking_mode == 'disabled'", "</mm:think>"),
    }),
  ...MINIMAX_TOKENS,
  markers: ["<mm:think>", "</mm:think>", "<tool_call>", "</tool_call>"],
  markersAre: EVERY,
};

/** Values as Python prints them (Seed-OSS); a budget of no tokens switches thinking off. */
export const SEED: Family = {
  name: "Seed",
  template: template({
    tools: `<seed:bos>system\nYou may call:\n${TOOL_LINES}<seed:eos>`,
    system: `<seed:bos>system\n${CONTENT}<seed:eos>`,
    user: `<seed:bos>user\n${CONTENT}<seed:eos>`,
    result: `<seed:bos>tool\n${CONTENT}<seed:eos>`,
    assistant: "<seed:bos>assistant\n" +
      thought("<seed:think>", "</seed:think>") + CONTENT +
      eachCall(
        `<seed:tool_call>\n<function=${NAME}>\n${
          eachArgument("<parameter={{ key }}>{{ value }}</parameter>\n")
        }</function>\n</seed:tool_call>`,
        "\n",
      ) + "<seed:eos>",
    prompt: "<seed:bos>assistant\n" +
      when("thinking_budget is defined and thinking_budget == 0", "<seed:think>I answer at once.</seed:think>"),
  }),
  bos: "<seed:bos>",
  eos: "<seed:eos>",
  control: ["<seed:bos>", "<seed:eos>"],
  ends: ["<seed:eos>"],
  markers: ["<seed:think>", "</seed:think>", "<seed:tool_call>", "</seed:tool_call>"],
  markersAre: TOKENS,
};
