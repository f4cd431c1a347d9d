/**
 * What the compiler makes of requests: type equalities that hold, or this file does not compile. Never run.
 */
import {
  type Client,
  type FromSchema,
  type GenerateRequest,
  type GenerateV2Fields,
  type GenerateV2Request,
  type Generation,
  type JsonFields,
  type JsonSchema,
  type Message,
  type Tool,
  tool,
  type ToolRun,
  type ToolUse,
} from "../../client/mod.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Takes `true` types only. */
function holds<_Fact extends true>(): void {}

/** The type a literal schema stands for. */
declare function value<const Schema extends JsonSchema>(schema: Schema): FromSchema<Schema>;

export function schemas(wide: JsonSchema): void {
  const everything = value({
    type: "object",
    properties: {
      name: { type: "string" },
      age: { type: "integer", minimum: 0 },
      weight: { type: "number" },
      tags: { type: "array", items: { enum: ["a", 3, null, true] } },
      fixed: { const: { at: [1, "x"] } },
      maybe: { type: ["string", "null"] },
      either: {
        anyOf: [{ type: "boolean" }, { type: "object", properties: { z: { type: "null" } }, required: ["z"] }],
      },
      one: { oneOf: [{ type: "string" }, { const: 3 }] },
      elsewhere: { $ref: "https://example.org/thing", type: "string" },
      missing: { $ref: "#/$defs/missing" },
      level: { $ref: "#/$defs/level" },
      list: { type: "array" },
      free: { type: "object" },
      map: { type: "object", additionalProperties: { type: "number" } },
      all: { allOf: [{ type: "string" }] },
      anything: {},
    },
    required: ["name", "tags", "elsewhere", "unheard of"],
    additionalProperties: false,
    $defs: { level: { enum: ["low", "high"] } },
  });
  holds<
    Same<typeof everything, {
      name: string;
      tags: ("a" | 3 | null | true)[];
      elsewhere: unknown;
      missing?: unknown;
      level?: "low" | "high";
      age?: number;
      weight?: number;
      fixed?: { at: [1, "x"] };
      maybe?: string | null;
      either?: boolean | { z: null };
      one?: string | 3;
      list?: unknown[];
      free?: JsonFields;
      map?: { [key: string]: number };
      all?: unknown;
      anything?: unknown;
    }>
  >();
  const list = value({ type: "array", items: { type: "array", items: { type: "integer" } } });
  holds<Same<typeof list, number[][]>>();
  const unknown = value(wide);
  holds<Same<typeof unknown, unknown>>();
  const notLiteral = { type: "object", properties: { a: { type: "string" } } };
  const widened = value(notLiteral);
  holds<Same<typeof widened, unknown>>();
  holds<Same<FromSchema<true>, unknown>>();
  holds<Same<FromSchema<false>, never>>();
}

interface Tree {
  value: number;
  children?: Tree[];
}

export function references(): void {
  const tree = value({
    $ref: "#/$defs/tree",
    $defs: {
      tree: {
        type: "object",
        properties: {
          value: { type: "integer" },
          children: { type: "array", items: { $ref: "#/$defs/tree" } },
        },
        required: ["value"],
      },
    },
  });
  holds<Same<typeof tree["children"], Tree[] | undefined>>();
  holds<Same<NonNullable<NonNullable<typeof tree["children"]>[0]["children"]>[0]["value"], number>>();
  const itself = value({ type: "object", properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } } });
  holds<Same<NonNullable<NonNullable<typeof itself["next"]>["next"]>["next"], typeof itself["next"]>>();
}

export function freelyNested(): void {
  const nested = value({
    $ref: "#/$defs/value",
    $defs: {
      value: {
        anyOf: [
          { type: "string" },
          { type: "array", items: { $ref: "#/$defs/value" } },
          { type: "object", additionalProperties: { $ref: "#/$defs/value" } },
        ],
      },
    },
  });
  if (typeof nested === "string") return;
  const inner = Array.isArray(nested) ? nested[0] : nested["a"];
  holds<Same<typeof inner, typeof nested | string | undefined>>();
}

type IsAny<T> = 0 extends 1 & T ? true : false;

/** What is not known may be anything, but never goes unchecked. */
// deno-lint-ignore no-explicit-any
export function untyped(any: any, names: string[]): void {
  const fixed = value({ const: any });
  const nested = value({ const: { at: any } });
  const one = value({ enum: [any] });
  const some = value({ type: "object", properties: { a: { type: "string" } }, required: names });
  const reference = value({ $ref: any, $defs: { a: { type: "string" } } });
  holds<Same<IsAny<typeof fixed>, false>>();
  holds<Same<typeof nested, { at: unknown }>>();
  holds<Same<IsAny<typeof one>, false>>();
  holds<Same<typeof some, { a?: string }>>();
  holds<Same<typeof reference, unknown>>();
  const parsed = value(any);
  holds<Same<typeof parsed, unknown>>();
}

const MESSAGES = [{ role: "user", content: "hi" }] as const;
const PLACE = {
  type: "object",
  properties: { place: { type: "string" } },
  required: ["place"],
} as const;
const SUM = {
  type: "object",
  properties: { a: { type: "number" }, b: { type: "number" } },
  required: ["a"],
} as const;

export function surfaces(client: Client, some: {
  v1: GenerateRequest;
  v2: GenerateV2Request;
  either: GenerateV2Fields;
  messages: readonly Message[];
}): void {
  const plain = [client.generate("hi"), client.generate({ messages: MESSAGES }), client.generate(some.v1)];
  holds<Same<typeof plain, Generation[]>>();
  const empty = client.generate({ messages: MESSAGES, tools: undefined, thinking: undefined });
  holds<Same<typeof empty, Generation>>();

  const v2 = client.generate(some.v2);
  holds<Same<typeof v2, Generation>>();
  const thinking = client.generate({ messages: MESSAGES, thinking: false });
  holds<Same<typeof thinking, Generation>>();
  const schema = client.generate({ messages: MESSAGES, schema: {} });
  holds<Same<typeof schema, Generation>>();
  const blocks = client.generate({ messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }] });
  holds<Same<typeof blocks, Generation>>();
  const mixed = client.generate({ messages: some.messages, thinking: true });
  holds<Same<typeof mixed, Generation>>();

  // Only the values tell.
  const either = client.generate(some.either);
  holds<Same<typeof either, Generation>>();
  const conversation = client.generate({ messages: some.messages });
  holds<Same<typeof conversation, Generation>>();

  client.generate({ messages: MESSAGES, logprobs: 1, grammar: "root ::= x" });
  // @ts-expect-error There is no such field.
  client.generate({ messages: MESSAGES, temprature: 1 });
  // @ts-expect-error A call belongs to an object schema with these names.
  client.generate({ messages: MESSAGES, tools: [{ name: "a", description: "" }] });
}

export async function events(client: Client, tools: readonly Tool[]): Promise<void> {
  for await (const event of client.generate("hi")) {
    holds<Same<typeof event.type, "text" | "thinking" | "tool_use" | "progress" | "done">>();
  }

  const generation = client.generate({
    messages: MESSAGES,
    tools: [
      { name: "weather", description: "", inputSchema: PLACE },
      { name: "add", description: "", inputSchema: { ...SUM, required: ["a", "b"] } },
      { name: "free", description: "", inputSchema: { type: "object" } },
    ],
  });
  for await (const event of generation) {
    holds<Same<typeof event.type, "text" | "thinking" | "tool_use" | "progress" | "done">>();
    if (event.type === "tool_use") {
      holds<Same<typeof event.name, "weather" | "add" | "free">>();
      if (event.name === "weather") holds<Same<typeof event.input, { place: string }>>();
      else if (event.name === "add") holds<Same<typeof event.input, { a: number; b: number }>>();
      else holds<Same<typeof event.input, JsonFields>>();
    }
    if (event.type === "done") holds<Same<typeof event.toolCalls[number]["name"], "weather" | "add" | "free">>();
  }
  const { toolCalls, thinking } = await generation.result();
  // A call may stand in the conversation as it is, and so may a thought.
  const messages: Message[] = [{ role: "assistant", content: [{ type: "thinking", text: thinking }, ...toolCalls] }];
  for await (const event of client.generate({ messages, tools })) {
    if (event.type === "thinking" || event.type === "tool_use") messages.push({ role: "assistant", content: [event] });
  }

  const loose = await client.generate({ messages, tools }).result();
  holds<Same<typeof loose.toolCalls, readonly ToolUse[]>>();
  holds<Same<ToolUse["name"], string>>();
  holds<Same<ToolUse["input"], JsonFields>>();
}

/** A tool is chosen by one of the names that the request has. */
export function choices(client: Client, tools: readonly Tool[], name: string): void {
  const weather = { name: "weather.now", description: "", inputSchema: PLACE } as const;
  const sum = { name: "add", description: "", inputSchema: SUM } as const;
  const chosen = client.generate({ messages: MESSAGES, tools: [weather, sum], toolChoice: { name: "weather.now" } });
  holds<Same<typeof chosen, Generation<readonly [typeof weather, typeof sum]>>>();
  client.generate({ messages: MESSAGES, tools: [weather, sum], toolChoice: "required" });
  // @ts-expect-error No tool of the request has that name.
  client.generate({ messages: MESSAGES, tools: [weather, sum], toolChoice: { name: "weather" } });
  // @ts-expect-error Not every string is the name of a tool.
  client.generate({ messages: MESSAGES, tools: [weather, sum], toolChoice: { name } });
  // @ts-expect-error There is no such choice.
  client.generate({ messages: MESSAGES, tools: [weather], toolChoice: "any" });
  client.generate({ messages: MESSAGES, tools, toolChoice: { name } });
  client.generate({ messages: MESSAGES, toolChoice: { name } });

  const rain = (): string => "rain";
  const functions = { "weather.now": rain, add: rain };
  client.runTools({ messages: MESSAGES, tools: [weather, sum], toolChoice: { name: "add" } }, functions);
  // @ts-expect-error No tool of the request has that name.
  client.runTools({ messages: MESSAGES, tools: [weather, sum], toolChoice: { name: "weather" } }, functions);

  const add = tool({ description: "", inputSchema: SUM, run: ({ a }) => a });
  const inline = client.runTools({ messages: MESSAGES, toolChoice: { name: "add" } }, {
    add,
    "weather.now": {
      description: "",
      inputSchema: PLACE,
      run: ({ place }) => {
        holds<Same<typeof place, string>>();
      },
    },
  });
  holds<Same<typeof inline extends ToolRun<infer Tools> ? Tools[number]["name"] : never, "add" | "weather.now">>();
  // @ts-expect-error No tool of the run has that name.
  client.runTools({ messages: MESSAGES, toolChoice: { name: "weather" } }, { add });
  client.runTools({ messages: MESSAGES, toolChoice: "required" }, { add });
}

export async function values(client: Client, schema: JsonSchema): Promise<void> {
  const place = await client.generateObject("Where?", { schema: PLACE });
  holds<Same<typeof place, { place: string }>>();
  const level = await client.generateObject({ messages: MESSAGES }, { schema: { enum: ["low", "high"] } });
  holds<Same<typeof level, "low" | "high">>();
  const anything = await client.generateObject("What?", { schema });
  holds<Same<typeof anything, unknown>>();
  // @ts-expect-error Tools answer with calls, not with a value.
  await client.generateObject({ messages: MESSAGES, tools: [] }, { schema });
}

export async function runs(client: Client, tools: readonly Tool[]): Promise<void> {
  const run = client.runTools("hi", {
    weather: tool({
      description: "",
      inputSchema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
      run: ({ place }, { signal, toolCallId }) => {
        holds<Same<typeof place, string>>();
        holds<Same<typeof signal, AbortSignal>>();
        holds<Same<typeof toolCallId, string>>();
      },
    }),
    add: {
      description: "",
      inputSchema: SUM,
      async run({ a, b }): Promise<number> {
        holds<Same<typeof a, number>>();
        holds<Same<typeof b, number | undefined>>();
        return await Promise.resolve(a);
      },
    },
  });
  for await (const event of run) {
    holds<Same<typeof event.type, "text" | "thinking" | "tool_use" | "tool_result" | "progress" | "done">>();
    if (event.type === "tool_use") {
      holds<Same<typeof event.name, "weather" | "add">>();
      if (event.name === "weather") holds<Same<typeof event.input, { place: string }>>();
    }
    if (event.type === "tool_result") holds<Same<typeof event.name, "weather" | "add">>();
  }
  const { messages } = await run.result();

  const weather = { name: "weather", description: "", inputSchema: PLACE } as const;
  const sum = { name: "add", description: "", inputSchema: SUM } as const;
  client.runTools({ messages, tools: [weather, sum] }, {
    weather: ({ place }) => {
      holds<Same<typeof place, string>>();
    },
    add: (input) => {
      holds<Same<typeof input, { a: number; b?: number }>>();
    },
  });
  // @ts-expect-error One function is missing.
  client.runTools({ messages, tools: [weather, sum] }, { weather: () => "rain" });
  client.runTools({ messages, tools }, {
    whatever: (input) => {
      holds<Same<typeof input, JsonFields>>();
    },
  });
}
