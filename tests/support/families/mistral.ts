/** Families after Mistral's, which take users and assistants in turns, and ids of nine letters or digits. */
import { type Family, TOKENS } from "./family.ts";
import { ARGUMENTS, CONTENT, eachCall, NAME, refuse, section, template, when } from "./parts.ts";

const TURNS = {
  begin: "{{ bos_token }}{% set state = namespace(last='') %}",
  tools: "[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]",
  system: refuse("not loop.first", "Only the first message may be a system message") +
    `[SYSTEM_PROMPT]${CONTENT}[/SYSTEM_PROMPT]`,
  user: refuse("state.last == 'user'", "Users and assistants take turns") +
    `{% set state.last = 'user' %}[INST]${CONTENT}[/INST]`,
  result: "[TOOL_RESULTS]{{ message.tool_call_id }}[TOOL_CONTENT]{{ message.content }}[/TOOL_RESULTS]",
  prompt: "",
};
const SPEAKS = refuse("state.last == ''", "A user speaks first") + "{% set state.last = 'assistant' %}";
const SHORT_ID = refuse("call.id is not defined or call.id | length != 9", "Ids of calls have nine characters");
const TOKENS_OF_TURNS = {
  bos: "<s>",
  eos: "</s>",
  addsBos: true,
  control: ["<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"],
  ends: ["</s>"],
};
const MARKERS = ["[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[TOOL_CONTENT]"];

/** A list of calls (Nemo). */
export const MISTRAL: Family = {
  name: "Mistral",
  template: template({
    ...TURNS,
    assistant: SPEAKS + CONTENT + section(
      "[TOOL_CALLS][",
      eachCall(`${SHORT_ID}{"name": "${NAME}", "arguments": ${ARGUMENTS}, "id": "{{ call.id }}"}`, ", "),
      "]",
    ) + "{{ eos_token }}",
  }),
  ...TOKENS_OF_TURNS,
  markers: [...MARKERS, "[/TOOL_RESULTS]"],
  markersAre: TOKENS,
};

/** Tokens part name, id and arguments (Small 3.2). */
export const MISTRAL_IDS: Family = {
  name: "Mistral with ids",
  template: template({
    ...TURNS,
    assistant: SPEAKS + CONTENT +
      eachCall(`${SHORT_ID}[TOOL_CALLS]${NAME}[CALL_ID]{{ call.id }}[ARGS]${ARGUMENTS}`) + "{{ eos_token }}",
  }),
  ...TOKENS_OF_TURNS,
  markers: [...MARKERS, "[/TOOL_RESULTS]", "[CALL_ID]", "[ARGS]"],
  markersAre: TOKENS,
};

const PARTS = when(
  "message.content is string",
  CONTENT,
  "{% for part in message.content %}" +
    when("part.type == 'thinking'", "[THINK]{{ part.thinking }}[/THINK]", "{{ part.text }}") + "{% endfor %}",
);

/** Tokens part name and arguments, thoughts are parts of the content (Devstral, Ministral 3). */
export const MISTRAL_ARGS: Family = {
  name: "Mistral with thoughts",
  template: template({
    ...TURNS,
    assistant: SPEAKS + PARTS + eachCall(`[TOOL_CALLS]${NAME}[ARGS]${ARGUMENTS}`) + "{{ eos_token }}",
  }),
  ...TOKENS_OF_TURNS,
  markers: [...MARKERS, "[/TOOL_RESULTS]", "[ARGS]", "[THINK]", "[/THINK]"],
  markersAre: TOKENS,
};
