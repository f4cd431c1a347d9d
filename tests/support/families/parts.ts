/** Parts of which the chat templates in this folder are made; each is a piece of a Jinja template. */

/** What a template writes for each kind of message. */
export interface TemplateParts {
  /** Before all messages. */
  readonly begin?: string;
  /** Before the messages where tools are offered. */
  readonly tools?: string;
  readonly system: string;
  readonly user: string;
  /** A tool's result. */
  readonly result: string;
  /** An assistant's whole message. */
  readonly assistant: string;
  /** What the answer begins after. */
  readonly prompt: string;
}

/** The name of a call's tool. */
export const NAME = "{{ call.function.name }}";
/** A call's arguments as JSON. */
export const ARGUMENTS = "{{ call.function.arguments | tojson }}";
/** What a message says. */
export const CONTENT = "{{ message.content }}";
/** An argument's value: a string as it is, all else as JSON. */
export const VALUE = "{{ value if value is string else value | tojson }}";

/** A whole template. */
export function template({ begin = "", tools, system, user, result, assistant, prompt }: TemplateParts): string {
  const offered = tools === undefined ? "" : when("tools", tools);
  return `${begin}${offered}{% for message in messages %}` +
    `{% if message.role == 'system' %}${system}{% elif message.role == 'user' %}${user}` +
    `{% elif message.role == 'tool' %}${result}{% else %}${assistant}{% endif %}{% endfor %}` +
    when("add_generation_prompt", prompt);
}

/** Text that a template writes, whatever stands before it: the line break behind a tag would not be written. */
export function write(text: string): string {
  return `{{ ${JSON.stringify(text)} }}`;
}

/** Something that is written only where a condition holds. */
export function when(condition: string, then: string, otherwise?: string): string {
  return `{% if ${condition} %}${then}${otherwise === undefined ? "" : `{% else %}${otherwise}`}{% endif %}`;
}

/** The tools, each in a line of its own. */
export const TOOL_LINES = `{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}`;

/** Something for each call of a message. */
export function eachCall(call: string, between = ""): string {
  const separator = between === "" ? "" : when("not loop.first", write(between));
  return `{% for call in message.tool_calls or [] %}${separator}${call}{% endfor %}`;
}

/** All calls of a message, with what stands around them. */
export function section(open: string, calls: string, close: string): string {
  return when("message.tool_calls", open + calls + close);
}

/** Something for each argument of a call. */
export function eachArgument(argument: string, between = ""): string {
  const separator = between === "" ? "" : when("not loop.first", write(between));
  return `{% for key, value in call.function.arguments | items %}${separator}${argument}{% endfor %}`;
}

/** The thought of a message, where it has one. */
export function thought(open: string, close: string, field = "reasoning_content"): string {
  return when(`message.${field}`, `${open}{{ message.${field} }}${close}`);
}

/** Refuse a conversation where a condition holds. */
export function refuse(condition: string, message: string): string {
  return when(condition, `{{ raise_exception('${message}') }}`);
}
