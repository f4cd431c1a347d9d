/** Families whose messages stand between `<|im_start|>` and `<|im_end|>`. */
import { EVERY, type Family, THINK, TOKENS, TOOL_CALL } from "./family.ts";
import {
  ARGUMENTS,
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

const TURNS = {
  system: `<|im_start|>system\n${CONTENT}<|im_end|>\n`,
  user: `<|im_start|>user\n${CONTENT}<|im_end|>\n`,
  result: `<|im_start|>user\n<tool_response>\n${CONTENT}\n</tool_response><|im_end|>\n`,
  tools: `<|im_start|>system\nYou may call:\n${TOOL_LINES}<|im_end|>\n`,
  prompt: "<|im_start|>assistant\n",
};
const TOKENS_OF_TURNS = {
  bos: "<|endoftext|>",
  eos: "<|im_end|>",
  control: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
  ends: ["<|endoftext|>", "<|im_end|>"],
};
const NO_THOUGHT = when("enable_thinking is defined and not enable_thinking", "<think>\n\n</think>\n\n");
const THOUGHT = thought("<think>\n", "\n</think>\n\n");

function assistant(said: string): string {
  return `<|im_start|>assistant\n${said}<|im_end|>\n`;
}

/** A line break before each call but one that comes first. */
const BREAK = when("message.content or not loop.first", write("\n"));

/** Knows neither thoughts nor tools. */
export const CHATML: Family = {
  name: "ChatML",
  template: template({ ...TURNS, tools: "", assistant: assistant(CONTENT) }),
  ...TOKENS_OF_TURNS,
  markers: [],
  markersAre: EVERY,
};

/** Calls that are a JSON object between tags (Hermes, Qwen 2.5 and 3, Granite 4). */
export const HERMES: Family = {
  name: "Hermes",
  template: template({
    ...TURNS,
    assistant: assistant(
      THOUGHT + CONTENT +
        eachCall(`${BREAK}<tool_call>\n{"name": "${NAME}", "arguments": ${ARGUMENTS}}\n</tool_call>`),
    ),
    prompt: TURNS.prompt + NO_THOUGHT,
  }),
  ...TOKENS_OF_TURNS,
  markers: [...THINK, ...TOOL_CALL],
  markersAre: EVERY,
};

/** Arguments in elements of their own, strings as they are (Qwen3-Coder, Qwen3.5, Step); the prompt opens the thought. */
export const CODER: Family = {
  name: "Coder",
  template: template({
    ...TURNS,
    assistant: assistant(
      THOUGHT + CONTENT + eachCall(
        `${BREAK}<tool_call>\n<function=${NAME}>\n${
          eachArgument(`<parameter={{ key }}>\n${VALUE}\n</parameter>\n`)
        }</function>\n</tool_call>`,
      ),
    ),
    prompt: TURNS.prompt +
      when("enable_thinking is defined and not enable_thinking", "<think>\n\n</think>\n\n", "<think>\n"),
  }),
  ...TOKENS_OF_TURNS,
  markers: [...THINK, ...TOOL_CALL],
  markersAre: EVERY,
};

/** Elements whose strings may be character data (MiniCPM). */
export const CHARACTER_DATA: Family = {
  name: "character data",
  template: template({
    ...TURNS,
    assistant: assistant(
      THOUGHT + CONTENT + eachCall(
        `<function name="${NAME}">${
          eachArgument(
            `<param name="{{ key }}">${
              when("value is string and ('<' in value or '&' in value)", "<![CDATA[{{ value }}]]>", VALUE)
            }</param>`,
          )
        }</function>`,
        "\n",
      ),
    ),
    prompt: TURNS.prompt + NO_THOUGHT,
  }),
  ...TOKENS_OF_TURNS,
  markers: THINK,
  markersAre: EVERY,
};

/** A list of calls between tags (Nemotron Nano 2, Apriel). */
export const LISTED: Family = {
  name: "listed",
  template: template({
    ...TURNS,
    assistant: assistant(
      THOUGHT + CONTENT +
        section("<TOOLCALL>[", eachCall(`{"name": "${NAME}", "arguments": ${ARGUMENTS}}`, ", "), "]</TOOLCALL>"),
    ),
    prompt: TURNS.prompt + NO_THOUGHT,
  }),
  ...TOKENS_OF_TURNS,
  markers: [...THINK, "<TOOLCALL>", "</TOOLCALL>"],
  markersAre: EVERY,
};

/** Calls in lines between tags (MiniMax M1). */
export const LINES: Family = {
  name: "lines",
  template: template({
    ...TURNS,
    assistant: assistant(
      CONTENT + section(
        "<tool_calls>\n",
        eachCall(`{"name": "${NAME}", "arguments": ${ARGUMENTS}}\n`),
        "</tool_calls>",
      ),
    ),
  }),
  ...TOKENS_OF_TURNS,
  markers: ["<tool_calls>", "</tool_calls>"],
  markersAre: ["text", "defined", "control"],
};

const PYTHON_CALL = `${NAME}(${
  eachArgument('{{ key }}={{ "\'" + value + "\'" if value is string else value | tojson }}', ", ")
})`;
const LFM_MARKERS = ["<|tool_call_start|>", "<|tool_call_end|>"];

/** Calls as Python has them (LFM2.5). */
export const PYTHON: Family = {
  name: "Python",
  template: template({
    ...TURNS,
    assistant: assistant(
      THOUGHT + CONTENT + section("<|tool_call_start|>[", eachCall(PYTHON_CALL, ", "), "]<|tool_call_end|>"),
    ),
    prompt: TURNS.prompt + NO_THOUGHT,
  }),
  ...TOKENS_OF_TURNS,
  markers: [...THINK, ...LFM_MARKERS],
  markersAre: TOKENS,
};

/** A line for each call, with strings as JSON has them (OLMo 3, MiniCPM 3). */
export const PYTHON_LINES: Family = {
  name: "Python lines",
  template: template({
    ...TURNS,
    assistant: assistant(
      CONTENT + section(
        "<|tool_call_start|>\n```python\n",
        eachCall(`${NAME}(${eachArgument("{{ key }}={{ value | tojson }}", ",")})${write("\n")}`),
        "```\n<|tool_call_end|>",
      ),
    ),
  }),
  ...TOKENS_OF_TURNS,
  markers: LFM_MARKERS,
  markersAre: TOKENS,
};

/** Every call begins a line, also the first after an empty thought (Qwen 3 Thinking). */
export const LED: Family = {
  name: "led by line breaks",
  template: template({
    ...TURNS,
    assistant: assistant(
      `<think>\n{{ message.reasoning_content }}\n</think>\n\n${CONTENT}` +
        eachCall(`${write("\n")}<tool_call>\n{"name": "${NAME}", "arguments": ${ARGUMENTS}}\n</tool_call>`),
    ),
    prompt: `${TURNS.prompt}<think>\n`,
  }),
  ...TOKENS_OF_TURNS,
  markers: [...THINK, ...TOOL_CALL],
  markersAre: TOKENS,
};

/** Renders no calls, although the family makes them (LFM2). */
export const PYTHON_UNSEEN: Family = {
  name: "LFM2",
  template: template({
    ...TURNS,
    tools: "<|im_start|>system\nList of tools: {{ tools | tojson }}<|im_end|>\n",
    assistant: assistant(CONTENT),
  }),
  ...TOKENS_OF_TURNS,
  markers: LFM_MARKERS,
  markersAre: ["control"],
};

/** The same, although it asks for tags (Falcon-H1). */
export const ASKED: Family = {
  ...CHATML,
  name: "Falcon-H1",
  template: template({
    ...TURNS,
    tools:
      `<|im_start|>system\nTo call, give <args-dict> in an object in <tool_call></tool_call>.\n${TOOL_LINES}<|im_end|>\n`,
    assistant: assistant(CONTENT),
  }),
};

/** The same (SmolLM3); words in the system message switch thinking. */
export const HERMES_UNSEEN: Family = {
  name: "SmolLM3",
  template: template({
    ...TURNS,
    begin: "{% set quiet = messages[0].role == 'system' and '/no_think' in messages[0].content %}" +
      "<|im_start|>system\nYou are named SmolLM. {{ tools | tojson if tools else '' }}<|im_end|>\n",
    tools: "",
    assistant: assistant(CONTENT),
    prompt: TURNS.prompt + when("quiet", "<think>\n\n</think>\n"),
  }),
  ...TOKENS_OF_TURNS,
  markers: [...THINK, ...TOOL_CALL],
  markersAre: ["defined"],
};
