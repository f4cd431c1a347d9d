/** Families whose messages begin with a header (Llama 3 and what was made of it). */
import { EVERY, type Family } from "./family.ts";
import {
  ARGUMENTS,
  CONTENT,
  eachArgument,
  eachCall,
  NAME,
  refuse,
  template,
  TOOL_LINES,
  when,
  write,
} from "./parts.ts";

function header(role: string): string {
  return `<|start_header_id|>${role}<|end_header_id|>\n\n`;
}

const TURNS = {
  begin: "{{ bos_token }}",
  system: `${header("system")}${CONTENT}<|eot_id|>`,
  user: `${header("user")}${CONTENT}<|eot_id|>`,
  result: `${header("ipython")}${CONTENT}<|eot_id|>`,
  tools: `${header("system")}You may call:\n${TOOL_LINES}<|eot_id|>`,
  prompt: header("assistant"),
};
const TOKENS_OF_TURNS = {
  bos: "<|begin_of_text|>",
  eos: "<|eot_id|>",
  addsBos: true,
  control: [
    ...["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"],
    "<|python_tag|>",
  ],
  ends: ["<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"],
};

/** A call is nothing but JSON, and there is one in a message (Llama 3.1 to 3.3). */
export const LLAMA: Family = {
  name: "Llama",
  template: template({
    ...TURNS,
    assistant: refuse("message.tool_calls and message.tool_calls | length > 1", "One call at a time") +
      header("assistant") + CONTENT + eachCall(`{"name": "${NAME}", "parameters": ${ARGUMENTS}}`) + "<|eot_id|>",
  }),
  ...TOKENS_OF_TURNS,
  markers: [],
  markersAre: EVERY,
  // JSON in a text is text.
  textBeforeCalls: false,
};

/** Several calls that are nothing but JSON, of arguments that come as text; past answers begin otherwise than new ones (Llama 4, Phi-4-mini). */
export const BARE: Family = {
  name: "bare objects",
  template: template({
    ...TURNS,
    assistant: when(
      "message.tool_calls",
      write("\n") + header("assistant") +
        eachCall(`{"name": "${NAME}", "arguments": {{ call.function.arguments }}}`, ",") + "<|eot_id|>",
      `${header("assistant")}${CONTENT}<|eot_id|>`,
    ),
  }),
  ...TOKENS_OF_TURNS,
  markers: [],
  markersAre: EVERY,
  textBeforeCalls: false,
};

/** A list of calls without a marker. */
const bareList = (name: string, call: string): Family => ({
  name,
  template: template({
    ...TURNS,
    assistant: `${header("assistant")}${when("message.tool_calls", `[${eachCall(call, ", ")}]`, CONTENT)}<|eot_id|>`,
  }),
  ...TOKENS_OF_TURNS,
  markers: [],
  markersAre: EVERY,
  textBeforeCalls: false,
});

/** A list of objects (xLAM). */
export const BARE_LIST: Family = bareList("bare list", `{"name": "${NAME}", "arguments": ${ARGUMENTS}}`);

/** A list of Python calls (Llama 4, ToolACE). */
export const BARE_PYTHON: Family = bareList(
  "bare Python list",
  `${NAME}(${eachArgument("{{ key }}={{ value | tojson }}", ", ")})`,
);

/** A tag has the name, and JSON stands in it (Functionary 3.1, Llama 3.1 with tools of its user's). */
export const FUNCTION_TAG: Family = {
  name: "function tags",
  template: template({
    ...TURNS,
    assistant: header("assistant") + CONTENT + eachCall(`<function=${NAME}>${ARGUMENTS}</function>`) +
      when("message.tool_calls", "<|eom_id|>", "<|eot_id|>"),
  }),
  ...TOKENS_OF_TURNS,
  markers: [],
  markersAre: EVERY,
};

/** A line says whom a message is for, a function or all (Functionary 3.2). */
export const RECIPIENT: Family = {
  name: "recipients",
  template: template({
    ...TURNS,
    assistant: header("assistant") + when("message.content", `>>>all\n${CONTENT}`) +
      eachCall(`>>>${NAME}\n${ARGUMENTS}`) + "<|eot_id|>",
    prompt: `${header("assistant")}>>>`,
  }),
  ...TOKENS_OF_TURNS,
  markers: [],
  markersAre: EVERY,
};
