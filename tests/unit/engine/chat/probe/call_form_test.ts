/** What is read off a template about calls: for every form that families have. */
import { assertEquals } from "@std/assert";
import { Chat } from "../../../../../src/engine/chat/chat.ts";
import type { ArgumentsForm, CallForm, CallPart } from "../../../../../src/engine/chat/dialect/dialect.ts";
import { type Marker, textOf } from "../../../../../src/engine/chat/dialect/marker.ts";
import { modelOf } from "../../../../support/chat_model.ts";
import * as families from "../../../../support/families/mod.ts";

/** A marker with its tokens in «». */
function plain(marker: Marker): string {
  return textOf(marker).replaceAll(/[\uFFFE\uFDD0]/g, "«").replaceAll(/[\uFFFF\uFDD1]/g, "»");
}

function parts(of: readonly CallPart[]): string {
  return of.map((part) => part.type === "text" ? plain(part.text) : part.type.toUpperCase()).join("");
}

function args(form: ArgumentsForm): string {
  switch (form.type) {
    case "json":
      return "JSON";
    case "python":
      return `(KEY=${form.quote}VALUE${form.quote})`;
    case "gemma":
      return `{KEY:${plain(form.quote)}VALUE${plain(form.quote)}}`;
    case "nested":
      return `${plain(form.open)}KEY>VALUE${plain(form.close)}KEY>`;
    case "elements": {
      const values = form.afterKey.map(({ text, types }) =>
        form.afterKey.length === 1 ? plain(text) : `${plain(text)}[${types}]`
      );
      return `${plain(form.open)}KEY${values.join("|")}VALUE${plain(form.close)}${plain(form.between)}`;
    }
  }
}

/** How calls are written, in one line: what begins them, one call, what is between two, what ends them. */
function described(call: CallForm): string {
  const { sectionOpen, head, tail, between, sectionClose, several } = call;
  const one = `${parts(head)}${args(call.arguments)}${parts(tail)}`;
  const further = several ? `[${plain(between)} …]` : "";
  return `${plain(sectionOpen)}${one}${further}${plain(sectionClose)}`;
}

const JSON_CALL = '{"name": "NAME", "arguments": JSON}';

/** By family: how it writes calls, and what a parser knows that one comes by. */
const FORMS: readonly (readonly [family: families.Family, written: string, marker: string])[] = [
  [families.HERMES, `«<tool_call>»\n${JSON_CALL}\n«</tool_call>»[\n …]`, "«<tool_call>»"],
  [
    families.CODER,
    "«<tool_call>»\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>\n«</tool_call>»[\n …]",
    "«<tool_call>»",
  ],
  [
    families.CHARACTER_DATA,
    '<function name="NAME"><param name="KEY">VALUE</param></function>[\n …]',
    '<function name="',
  ],
  [families.LISTED, `«<TOOLCALL>»[${JSON_CALL}[,  …]]«</TOOLCALL>»`, "«<TOOLCALL>»"],
  [families.LINES, `<tool_calls>\n${JSON_CALL}\n[ …]</tool_calls>`, "<tool_calls>"],
  [families.PYTHON, "«<|tool_call_start|>»[NAME(KEY='VALUE')[,  …]]«<|tool_call_end|>»", "«<|tool_call_start|>»"],
  [families.LLAMA, '{"name": "NAME", "parameters": JSON}', ""],
  [families.FUNCTION_TAG, "<function=NAME>JSON</function>[ …]", "<function="],
  [families.RECIPIENT, "NAME\nJSON[>>> …]", ""],
  [
    families.MISTRAL,
    '«[TOOL_CALLS]»[{"name": "NAME", "arguments": JSON, "id": "ID"}[,  …]]',
    "«[TOOL_CALLS]»",
  ],
  [families.MISTRAL_IDS, "«[TOOL_CALLS]»NAME«[CALL_ID]»ID«[ARGS]»JSON[ …]", "«[TOOL_CALLS]»"],
  [families.MISTRAL_ARGS, "«[TOOL_CALLS]»NAME«[ARGS]»JSON[ …]", "«[TOOL_CALLS]»"],
  [
    families.KEYS_AND_VALUES,
    "«<tool_call>»NAME\n«<arg_key>»KEY«</arg_key>»\n«<arg_value>»VALUE«</arg_value>»\n«</tool_call>»[\n …]",
    "«<tool_call>»",
  ],
  [
    families.KEYS_IN_SECTION,
    "«<tool_calls>»\n«<tool_call>»NAME«<tool_sep>»\n«<arg_key>»KEY«</arg_key>»\n«<arg_value>»VALUE«</arg_value>»\n" +
    "«</tool_call>»\n[ …]«</tool_calls>»",
    "«<tool_calls>»",
  ],
  [
    families.DSML,
    '<«｜DSML｜»function_calls>\n<«｜DSML｜»invoke name="NAME">\n<«｜DSML｜»parameter name="KEY' +
    '" string="true">[string]|" string="false">[integer,number,boolean,null,array,object]VALUE' +
    "</«｜DSML｜»parameter>\n</«｜DSML｜»invoke>\n[ …]</«｜DSML｜»function_calls>",
    "<«｜DSML｜»function_calls>",
  ],
  [
    families.INVOKES,
    '«<minimax:tool_call>»\n<invoke name="NAME">\n<parameter name="KEY">VALUE</parameter>\n</invoke>\n[ …]' +
    "«</minimax:tool_call>»",
    "«<minimax:tool_call>»",
  ],
  [
    families.NESTED,
    ']<]minimax[>[«<tool_call>»\n]<]minimax[>[<invoke name="NAME">]<]minimax[>[<KEY>VALUE]<]minimax[>[</KEY>' +
    "]<]minimax[>[</invoke>\n]<]minimax[>[[ …]«</tool_call>»",
    "]<]minimax[>[«<tool_call>»",
  ],
  [
    families.SEED,
    "«<seed:tool_call>»\n<function=NAME>\n<parameter=KEY>VALUE</parameter>\n</function>\n«</seed:tool_call>»[\n …]",
    "«<seed:tool_call>»",
  ],
  [
    families.KIMI,
    "«<|tool_calls_section_begin|>»«<|tool_call_begin|>»functions.NAME:INDEX«<|tool_call_argument_begin|>»JSON" +
    "«<|tool_call_end|>»[ …]«<|tool_calls_section_end|>»",
    "«<|tool_calls_section_begin|>»",
  ],
  [
    families.DEEPSEEK_V31,
    "«<｜tool▁calls▁begin｜>»«<｜tool▁call▁begin｜>»NAME«<｜tool▁sep｜>»JSON«<｜tool▁call▁end｜>»[ …]" +
    "«<｜tool▁calls▁end｜>»",
    "«<｜tool▁calls▁begin｜>»",
  ],
  [
    families.DEEPSEEK_R1,
    "«<｜tool▁calls▁begin｜>»«<｜tool▁call▁begin｜>»function«<｜tool▁sep｜>»NAME\n```json\nJSON\n```" +
    "«<｜tool▁call▁end｜>»[\n …]«<｜tool▁calls▁end｜>»",
    "«<｜tool▁calls▁begin｜>»",
  ],
  // What closes the list ends the answer.
  [families.KEYED, '«<|tools_prefix|>»[{"NAME": JSON}[,  …]]', "«<|tools_prefix|>»"],
  [families.GEMMA, '«<|tool_call>»call:NAME{KEY:«<|"|>»VALUE«<|"|>»}«<tool_call|>»[ …]', "«<|tool_call>»"],
  [families.ONE_CALL, `«<|function_call|>»${JSON_CALL}`, "«<|function_call|>»"],
  [
    families.HEADED_CALL,
    `«<|message_sep|>»\n\nfunction call«<|role_sep|>»\n${JSON_CALL}`,
    "«<|message_sep|>»\n\nfunction call«<|role_sep|>»",
  ],
  [families.WORD, `functools[${JSON_CALL}[,  …]]`, "functools["],
  [families.HARMONY, "to=functions.NAME«<|channel|>»commentary json«<|message|>»JSON", "to=functions."],
  [
    families.KINDS,
    "«<|tool_calls|>»«<|tool_call:begin|>»ID«<|tool_call:name|>»NAME«<|tool_call:args|>»JSON«<|tool_call:end|>»[ …]",
    "«<|tool_calls|>»",
  ],
  [
    families.COMMAND,
    '«<|START_ACTION|>»[\n    {"tool_call_id": "INDEX", "tool_name": "NAME", "parameters": JSON}[, …]\n]' +
    "«<|END_ACTION|>»",
    "«<|START_ACTION|>»",
  ],
  [
    families.TYPED,
    '«<|open|>»tools«<|sep|>»«<|open|>»call tool="NAME" index="INDEX"«<|sep|>»«<|open|>»argument key="KEY' +
    '" type="string"«<|sep|>»[string]|" type="number"«<|sep|>»[integer,number]|" type="boolean"«<|sep|>»[boolean]|' +
    '" type="null"«<|sep|>»[null]|" type="array"«<|sep|>»[array]|" type="object"«<|sep|>»[object]VALUE' +
    "«<|close|>»argument«<|sep|>»«<|close|>»call«<|sep|>»[ …]«<|close|>»tools«<|sep|>»«<|close|>»message«<|sep|>»",
    "«<|open|>»tools«<|sep|>»",
  ],
  // A line break before the first call is none of its own.
  [families.LED, `«<tool_call>»\n${JSON_CALL}\n«</tool_call>»[\n …]`, "«<tool_call>»"],
  [
    families.PYTHON_LINES,
    '«<|tool_call_start|>»\n```python\nNAME(KEY="VALUE")\n[ …]```\n«<|tool_call_end|>»',
    "«<|tool_call_start|>»",
  ],
  [families.BARE, `${JSON_CALL}[, …]`, ""],
  [families.BARE_LIST, `[${JSON_CALL}[,  …]]`, ""],
  [families.BARE_PYTHON, '[NAME(KEY="VALUE")[,  …]]', ""],
  // Their templates render none.
  [
    families.PYTHON_UNSEEN,
    "«<|tool_call_start|>»[NAME(KEY='VALUE')[,  …]]«<|tool_call_end|>»",
    "«<|tool_call_start|>»",
  ],
  [families.HERMES_UNSEEN, `«<tool_call>»\n${JSON_CALL}\n«</tool_call>»[\n …]`, "«<tool_call>»"],
  [families.ASKED, `<tool_call>\n${JSON_CALL}\n</tool_call>[\n …]`, "<tool_call>"],
  [families.TOLD, `«<|tool_call|>»[${JSON_CALL}[,  …]]`, "«<|tool_call|>»"],
];

for (const [family, written, marker] of FORMS) {
  Deno.test(`form of calls is read off the template when the family is ${family.name}`, async () => {
    const { dialect, format } = await Chat.of(families.familyModel(family), 100_000);
    const { call } = dialect;
    assertEquals(format, "template");
    assertEquals(call === undefined ? undefined : described(call), written);
    assertEquals(plain(call?.marker ?? []), marker);
  });
}

Deno.test("form of calls is known for every family that the tests have", () => {
  const known = new Set(FORMS.map(([family]) => family));
  assertEquals(families.FAMILIES.filter((family) => !known.has(family)), [families.CHATML]);
});

Deno.test("form of calls says what ids the template takes", async () => {
  const forms: Record<string, string | undefined> = {};
  for (const family of families.CALLING) {
    const { dialect } = await Chat.of(families.familyModel(family), 100_000);
    forms[family.name] = dialect.call?.ids;
  }
  const others = Object.entries(forms).filter(([, ids]) => ids !== "any");
  assertEquals(others, [["Mistral", "short"], ["Mistral with ids", "short"], ["Kimi", "numbered"]]);
});

Deno.test("form of calls says how values are written that are no strings", async () => {
  const styles: Record<string, string> = {};
  for (const family of families.CALLING) {
    const { dialect } = await Chat.of(families.familyModel(family), 100_000);
    const form = dialect.call?.arguments;
    if (form?.type === "elements") styles[family.name] = form.style;
  }
  assertEquals(Object.entries(styles).filter(([, style]) => style !== "json"), [["Seed", "python"]]);
});

Deno.test("form of calls says that arguments are sorted when the template sorts them", async () => {
  for (const [family, sorted] of [[families.GEMMA, true], [families.HERMES, undefined]] as const) {
    const { dialect } = await Chat.of(families.familyModel(family), 100_000);
    assertEquals(dialect.call?.sorted, sorted);
  }
});

Deno.test("arguments are given to the template as text when it takes no mapping", async () => {
  const { template, control, markers, ...others } = families.HERMES;
  const asText = template.replace("{{ call.function.arguments | tojson }}", "{{ '' + call.function.arguments }}");
  const model = modelOf({ ...others, template: asText, control, defined: markers });
  const { dialect } = await Chat.of(model, 100_000);
  const usual = await Chat.of(families.familyModel(families.HERMES), 100_000);
  assertEquals(dialect.call, usual.dialect.call);
});

Deno.test("tools are given to the template without their wrapping when it takes them only so", async () => {
  const { template, control, markers, ...others } = families.HERMES;
  const flat = template.replace("{{ tool | tojson }}", "{{ '- ' + tool.name }}");
  const model = modelOf({ ...others, template: flat, control, defined: markers });
  const chat = await Chat.of(model, 100_000);
  const { text } = chat.text({
    messages: [{ role: "user", content: "Hi" }],
    tools: [{ name: "get_time", description: "The time", inputSchema: { type: "object" } }],
    toolChoice: "auto",
    thinking: true,
  });
  assertEquals([chat.tools, text.includes("You may call:\n- get_time\n")], [true, true]);
});

Deno.test("form of Python calls is read off a template that leaves out their quotes", async () => {
  const { template, ...others } = families.BARE_PYTHON;
  const unquoted = { ...others, template: template.replace("{{ value | tojson }}", "{{ value }}") };
  const { dialect: { call } } = await Chat.of(families.familyModel(unquoted), 100_000);
  assertEquals(call && described(call), '[NAME(KEY="VALUE")[,  …]]');
});

Deno.test("template that renders no calls and is of no family known to make them offers no tools", async () => {
  const { template, control, markers, ...others } = families.HERMES;
  const silent = template.replaceAll("message.tool_calls", "message.nothing");
  const chat = await Chat.of(modelOf({ ...others, template: silent, control, defined: markers }), 100_000);
  assertEquals([chat.tools, chat.thinking], [false, true]);
});
