/** Conversations as chat templates take them, for comparing what templates render with a reference. */

type Json = Readonly<Record<string, unknown>>;

const SYSTEM = "You are a terse assistant.";
const SPECIAL =
  `<|im_end|> "quotes" 'single' \\back {{ braces }} {% tag %} <b>&amp;</b>\n\ttab \u00e9\u{1f600}\u2028 </think> [INST]`;

const TOOLS: readonly Json[] = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather in a city",
      parameters: {
        type: "object",
        properties: {
          city: { type: "string", description: "Name of the city" },
          days: { type: "integer", minimum: 1, default: 3 },
          unit: { type: "string", enum: ["C", "F"] },
        },
        required: ["city"],
      },
    },
  },
  {
    type: "function",
    function: {
      name: "search_web",
      description: 'Search the web for "anything" <b>',
      parameters: {
        type: "object",
        properties: {
          query: { type: "string" },
          limit: { type: ["integer", "null"] },
          exact: { type: "boolean" },
          ratio: { type: "number", multipleOf: 0.5 },
          filters: {
            type: "object",
            properties: { lang: { type: "array", items: { type: "string" } } },
            additionalProperties: false,
          },
          any: { anyOf: [{ type: "string" }, { type: "number" }] },
        },
        required: ["query", "limit"],
      },
    },
  },
  { type: "function", function: { name: "now", description: "", parameters: { type: "object", properties: {} } } },
];

const WEATHER = { city: "Oslo", days: 3 };
const SEARCH = {
  query: 'a "b"\n<tag> c \u00e9\u{1f600}',
  limit: null,
  exact: true,
  ratio: 0.5,
  filters: { lang: ["en", "nb"], deep: { n: -7, e: [] } },
  any: "'",
};

/** What a conversation says, before it is brought into one of the forms that templates take. */
interface Conversation {
  readonly name: string;
  readonly messages: readonly Json[];
  readonly tools?: readonly Json[];
  /** Whether the model is to write next. */
  readonly generate?: boolean;
}

const system = (content: unknown = SYSTEM): Json => ({ role: "system", content });
const user = (content: unknown): Json => ({ role: "user", content });
const assistant = (content: unknown, more: Json = {}): Json => ({ role: "assistant", content, ...more });
const calls = (content: unknown, ...made: readonly (readonly [id: string, name: string, args: unknown])[]): Json =>
  assistant(content, {
    tool_calls: made.map(([id, name, args]) => ({ id, type: "function", function: { name, arguments: args } })),
  });
const result = (id: string, name: string, content: unknown): Json => ({
  role: "tool",
  tool_call_id: id,
  name,
  content,
});

const CONVERSATIONS: readonly Conversation[] = [
  { name: "user", messages: [user("What is the weather in Oslo?")] },
  { name: "system and user", messages: [system(), user("What is the weather in Oslo?")] },
  {
    name: "several turns",
    messages: [system(), user("One?"), assistant("It is cold."), user("Two?"), assistant("Warm."), user("Three?")],
  },
  {
    name: "white space",
    messages: [system("  padded \n"), user("\n  question \n\n"), assistant(" answer "), user(" ")],
  },
  { name: "special characters", messages: [system(SPECIAL), user(SPECIAL), assistant(SPECIAL), user(SPECIAL)] },
  { name: "empty texts", messages: [system(""), user(""), assistant(""), user("")] },
  { name: "tools", messages: [user("What is the weather in Oslo?")], tools: TOOLS },
  { name: "system and tools", messages: [system(), user("What is the weather in Oslo?")], tools: TOOLS },
  { name: "one tool", messages: [system(), user("Now?")], tools: TOOLS.slice(2) },
  {
    name: "a call and its result",
    messages: [
      user("Weather?"),
      calls("", ["call00001", "get_weather", WEATHER]),
      result("call00001", "get_weather", '{"temperature": 7}'),
    ],
    tools: TOOLS,
  },
  {
    name: "text before a call",
    messages: [
      system(),
      user("Weather?"),
      calls("Let me look.", ["call00001", "get_weather", WEATHER]),
      result("call00001", "get_weather", "7 degrees, cloudy"),
      assistant("It is 7 degrees."),
      user("Thanks"),
    ],
    tools: TOOLS,
  },
  {
    name: "two calls",
    messages: [
      user("Weather?"),
      calls("", ["call00001", "get_weather", WEATHER], ["call00002", "search_web", SEARCH]),
      result("call00001", "get_weather", "7"),
      result("call00002", "search_web", SPECIAL),
    ],
    tools: TOOLS,
  },
  {
    name: "calls in several rounds",
    messages: [
      user("Weather?"),
      calls("", ["call00001", "get_weather", WEATHER]),
      result("call00001", "get_weather", "3.10"),
      calls("", ["call00002", "now", {}]),
      result("call00002", "now", ""),
      assistant("Done."),
      user("Again?"),
    ],
    tools: TOOLS,
  },
  {
    name: "a call without content",
    messages: [
      user("Weather?"),
      calls(null, ["call00001", "search_web", SEARCH]),
      result("call00001", "search_web", "none"),
    ],
    tools: TOOLS,
  },
  {
    name: "a call at the end",
    messages: [user("Weather?"), calls("", ["call00001", "search_web", SEARCH])],
    tools: TOOLS,
    generate: false,
  },
  {
    name: "thoughts",
    messages: [
      system(),
      user("One?"),
      assistant("First.", { reasoning_content: "Hm, one.\nIndeed." }),
      user("Two?"),
      assistant("<think>\nHm, two.\n</think>\n\nSecond."),
      user("Three?"),
    ],
  },
  {
    name: "thoughts before calls",
    messages: [
      user("Weather?"),
      {
        ...calls("", ["call00001", "get_weather", WEATHER]),
        reasoning_content: "I need the weather.",
        thinking: "Same.",
      },
      result("call00001", "get_weather", "7"),
      assistant("7.", { reasoning_content: "Easy." }),
    ],
    tools: TOOLS,
    generate: false,
  },
  {
    name: "content in parts",
    messages: [
      system([{ type: "text", text: SYSTEM }]),
      user([{ type: "text", text: "One" }, { type: "text", text: " and two?" }]),
      assistant([{ type: "text", text: "Both." }]),
      user([{ type: "text", text: "Three?" }]),
    ],
  },
  {
    name: "a result in parts",
    messages: [
      user("Weather?"),
      calls("", ["call00001", "get_weather", WEATHER]),
      result("call00001", "get_weather", [{ type: "text", text: "7 degrees" }, { type: "text", text: "cloudy" }]),
    ],
    tools: TOOLS,
  },
  { name: "two user messages in a row", messages: [user("One?"), user("Two?")] },
  { name: "a system message in the middle", messages: [user("One?"), assistant("Yes."), system(), user("Two?")] },
  { name: "an assistant's text at the end", messages: [user("One?"), assistant("The answer is")], generate: false },
  { name: "no messages", messages: [] },
];

const TOKENS = { bos_token: "<s>", eos_token: "</s>" };
const THINKING: readonly Json[] = [
  {},
  { enable_thinking: true, thinking: true, reasoning_effort: "high" },
  { enable_thinking: false, thinking: false, reasoning_effort: "low", thinking_budget: 0 },
];

/** A conversation in one form, with all variables of a template. */
export interface Variables {
  readonly name: string;
  readonly variables: Json;
}

/** Every conversation in every form. */
export function variablesOfAll(): Variables[] {
  return CONVERSATIONS.flatMap((conversation) =>
    THINKING.flatMap((thinking, i) => {
      const forms = conversation.messages.some((message) => "tool_calls" in message) ? [false, true] : [false];
      return forms.map((asText) => ({
        name: `${conversation.name}, thinking ${i}${asText ? ", arguments as text" : ""}`,
        variables: {
          ...TOKENS,
          ...thinking,
          messages: conversation.messages.map((message) => asText ? withTextArguments(message) : message),
          ...(conversation.tools === undefined ? {} : { tools: conversation.tools }),
          add_generation_prompt: conversation.generate ?? true,
        },
      }));
    })
  );
}

function withTextArguments(message: Json): Json {
  if (!Array.isArray(message.tool_calls)) return message;
  return {
    ...message,
    tool_calls: message.tool_calls.map((call) => ({
      ...call,
      function: { ...call.function, arguments: JSON.stringify(call.function.arguments) },
    })),
  };
}

/** Names whose strings a template compares with its own, and the form of a call's id. */
const STRUCTURE = new Set(["role", "type", "id", "tool_call_id", "bos_token", "eos_token", "reasoning_effort"]);
/** The first of 128 letters of a script that no template is written in. */
const STRANGE = 0xa000;

/** What {@linkcode disguised} made, as it is and as JSON escapes it. */
export const DISGUISED = /(?:[\ua000-\ua07f]|\\ua0[0-7][\da-f])+/g;

/**
 * Variables whose every text is made of characters that no template has, so that it can be told in what a template
 * renders. The keys of arguments and of a schema's properties are such texts too.
 *
 * @param value The variables or a value in them.
 * @param mark What is put around each text.
 * @returns The same, disguised.
 */
export function disguised(value: unknown, mark: (text: string) => unknown, keyed = false): unknown {
  if (typeof value === "string") return mark(strangeText(value));
  if (Array.isArray(value)) return value.map((item) => disguised(item, mark));
  if (typeof value !== "object" || value === null) return value;
  return new Map(
    Object.entries(value).map(([key, item]) => {
      if (keyed) return [mark(strangeText(key)), disguised(item, mark)] as const;
      const isText = typeof item === "string" && STRUCTURE.has(key);
      return [key, isText ? item : disguised(item, mark, key === "arguments" || key === "properties")] as const;
    }),
  );
}

function strangeText(text: string): string {
  return Array.from(text, (char) => String.fromCharCode(STRANGE + char.charCodeAt(0) % 0x80)).join("");
}
