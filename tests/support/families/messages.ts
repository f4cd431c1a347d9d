/** Families whose answers are messages or frames within a turn. */
import type { Family } from "./family.ts";
import {
  ARGUMENTS,
  CONTENT,
  eachArgument,
  eachCall,
  NAME,
  section,
  template,
  TOOL_LINES,
  VALUE,
  when,
  write,
} from "./parts.ts";

/** Channels for thoughts, answers and calls (gpt-oss); a word of the request says how much is thought. */
export const HARMONY: Family = {
  name: "gpt-oss",
  template: template({
    begin: "<|start|>system<|message|>Reasoning: {{ reasoning_effort or 'medium' }}<|end|>",
    tools: `<|start|>developer<|message|>namespace functions:\n${TOOL_LINES}<|end|>`,
    system: `<|start|>developer<|message|>${CONTENT}<|end|>`,
    user: `<|start|>user<|message|>${CONTENT}<|end|>`,
    result:
      "<|start|>functions.{{ message.name }} to=assistant<|channel|>commentary<|message|>{{ message.content }}<|end|>",
    assistant: when(
      "message.thinking",
      "<|start|>assistant<|channel|>analysis<|message|>{{ message.thinking }}<|end|>",
    ) +
      when(
        "message.content and message.tool_calls",
        `<|start|>assistant<|channel|>commentary<|message|>${CONTENT}<|end|>`,
      ) +
      when(
        "message.tool_calls",
        eachCall(
          `<|start|>assistant to=functions.${NAME}<|channel|>commentary json<|message|>${ARGUMENTS}<|call|>`,
        ),
        `<|start|>assistant<|channel|>final<|message|>${CONTENT}` + when("loop.last", "<|return|>", "<|end|>"),
      ),
    prompt: "<|start|>assistant",
  }),
  bos: "<|startoftext|>",
  eos: "<|return|>",
  control: ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|call|>"],
  ends: ["<|return|>", "<|call|>", "<|endoftext|>"],
  markers: ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>"],
  markersAre: ["control"],
};

/** Messages for thoughts, texts and calls (Solar Open). */
export const KINDS: Family = {
  name: "kinds of messages",
  template: template({
    tools: `<|begin|>system<|content|>${TOOL_LINES}<|end|>`,
    system: `<|begin|>system<|content|>${CONTENT}<|end|>`,
    user: `<|begin|>user<|content|>${CONTENT}<|end|>`,
    result: `<|begin|>tool<|tool_response|>{{ message.tool_call_id }}: ${CONTENT}<|end|>`,
    assistant: when("message.reasoning", "<|begin|>assistant<|think|>{{ message.reasoning }}<|end|>") +
      when("message.content", `<|begin|>assistant<|content|>${CONTENT}<|end|>`) +
      section(
        "<|begin|>assistant<|tool_calls|>",
        eachCall(
          `<|tool_call:begin|>{{ call.id }}<|tool_call:name|>${NAME}<|tool_call:args|>${ARGUMENTS}<|tool_call:end|>`,
        ),
        "<|calls|>",
      ),
    prompt: "<|begin|>assistant" + when("reasoning_effort == 'low'", "<|think|><|end|><|begin|>assistant"),
  }),
  bos: "<s>",
  eos: "<|end|>",
  control: ["<s>", "<|begin|>", "<|tool_response|>"],
  ends: ["<|calls|>"],
  markers: [
    ...["<|think|>", "<|content|>", "<|end|>", "<|calls|>", "<|tool_calls|>", "<|tool_call:begin|>"],
    ...["<|tool_call:end|>", "<|tool_call:name|>", "<|tool_call:args|>"],
  ],
  markersAre: ["control"],
  // The end of a text ends the answer.
  textBeforeCalls: false,
};

const COMMAND_TURN = (role: string, text: string): string =>
  `<|START_OF_TURN_TOKEN|><|${role}_TOKEN|>${text}<|END_OF_TURN_TOKEN|>`;

/** Frames around thought, text and calls, which are numbered (Command R7B, Command A). */
export const COMMAND: Family = {
  name: "Command",
  template: template({
    begin: "{{ bos_token }}",
    tools: COMMAND_TURN("SYSTEM", TOOL_LINES),
    system: COMMAND_TURN("SYSTEM", CONTENT),
    user: COMMAND_TURN("USER", CONTENT),
    result: COMMAND_TURN(
      "SYSTEM",
      '<|START_TOOL_RESULT|>[{"tool_call_id": "0", "results": {{ message.content | tojson }}}]<|END_TOOL_RESULT|>',
    ),
    assistant: COMMAND_TURN(
      "CHATBOT",
      when("message.reasoning_content", "<|START_THINKING|>{{ message.reasoning_content }}<|END_THINKING|>") +
        when("message.content", `<|START_RESPONSE|>${CONTENT}<|END_RESPONSE|>`) +
        section(
          "<|START_ACTION|>[",
          eachCall(
            write("\n    ") +
              `{"tool_call_id": "{{ loop.index0 }}", "tool_name": "${NAME}", "parameters": ${ARGUMENTS}}`,
            ",",
          ),
          write("\n") + "]<|END_ACTION|>",
        ),
    ),
    prompt: "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>" +
      when("reasoning is defined and not reasoning", "<|START_THINKING|><|END_THINKING|>"),
  }),
  bos: "<BOS_TOKEN>",
  eos: "<|END_OF_TURN_TOKEN|>",
  addsBos: true,
  control: [
    ...["<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<|START_TOOL_RESULT|>", "<|END_TOOL_RESULT|>"],
    ...["<|START_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>"],
  ],
  ends: ["<|END_OF_TURN_TOKEN|>"],
  markers: [
    ...["<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"],
    ...["<|START_ACTION|>", "<|END_ACTION|>"],
  ],
  markersAre: ["control", "defined"],
};

const OPEN = (name: string): string => `<|open|>${name}<|sep|>`;
const CLOSE = (name: string): string => `<|close|>${name}<|sep|>`;
const TYPE = "{{ 'string' if value is string else 'boolean' if value is boolean else 'null' if value is none " +
  "else 'number' if value is number else 'object' if value is mapping else 'array' }}";

/** Three tokens for all frames; each argument says its type (Kimi K3). */
export const TYPED: Family = {
  name: "typed arguments",
  template: template({
    begin: "{% set thinks = thinking is not defined or thinking %}",
    tools: `${OPEN('message role="system"')}${TOOL_LINES}${CLOSE("message")}<|end_of_msg|>`,
    system: `${OPEN('message role="system"')}${CONTENT}${CLOSE("message")}<|end_of_msg|>`,
    user: `${OPEN('message role="user"')}${CONTENT}${CLOSE("message")}<|end_of_msg|>`,
    result: `${OPEN('message role="tool" tool="{{ message.name }}"')}${CONTENT}${CLOSE("message")}<|end_of_msg|>`,
    assistant: OPEN('message role="assistant"') +
      when("thinks", `${OPEN("think")}{{ message.reasoning_content or '' }}${CLOSE("think")}`) +
      `${OPEN("response")}${CONTENT}${CLOSE("response")}` +
      section(
        OPEN("tools"),
        eachCall(
          OPEN(`call tool="${NAME}" index="{{ loop.index }}"`) +
            eachArgument(`${OPEN(`argument key="{{ key }}" type="${TYPE}"`)}${VALUE}${CLOSE("argument")}`) +
            CLOSE("call"),
        ),
        CLOSE("tools"),
      ) + `${CLOSE("message")}<|end_of_msg|>`,
    prompt: OPEN('message role="assistant"') + when("thinks", OPEN("think"), OPEN("response")),
  }),
  bos: "[BOS]",
  eos: "<|end_of_msg|>",
  control: ["[BOS]", "<|end_of_msg|>"],
  ends: ["<|end_of_msg|>"],
  markers: ["<|open|>", "<|close|>", "<|sep|>"],
  markersAre: ["control"],
};
