/** Calls that are hard to write and to read, for every way of writing them. */
import type { Tool } from "../../src/inference/request.ts";
import type { CallForm, Dialect } from "../../src/engine/chat/dialect/dialect.ts";
import { textOf } from "../../src/engine/chat/dialect/marker.ts";
import { withControlNames } from "../../src/engine/chat/dialect/control_text.ts";
import type { TestModel } from "./chat_model.ts";
import type { CallSaid, Said } from "./replay.ts";

const TEXT = { type: "string" };

/** What is called. */
export const TOOLS: readonly Tool[] = [
  {
    name: "get_weather",
    description: "The weather in a city",
    inputSchema: { type: "object", properties: { city: TEXT, days: { type: "integer" } }, required: ["city"] },
  },
  {
    name: "search_web",
    description: "Search the web",
    inputSchema: {
      type: "object",
      properties: {
        query: TEXT,
        limit: { type: "integer" },
        ratio: { type: "number" },
        exact: { type: "boolean" },
        nothing: { type: ["string", "null"] },
        any: {},
        tags: { type: "array", items: TEXT },
        filters: {
          type: "object",
          properties: {
            lang: { type: "array", items: TEXT },
            deep: { type: "object", properties: { on: { type: "boolean" }, text: TEXT, list: { type: "array" } } },
          },
        },
      },
    },
  },
  { name: "get_time", description: "The time", inputSchema: { type: "object", properties: {} } },
  {
    name: "calendar.events/list-all",
    description: "Events",
    inputSchema: { type: "object", properties: { "with-past": { type: "boolean" }, q: TEXT } },
  },
  // Nothing is said of its arguments but that there are some.
  { name: "run", description: "Run something", inputSchema: { type: "object", additionalProperties: true } },
];

/** The same without what some templates cannot show: types that are a list or not said, objects of which nothing is. */
export const PLAIN_TOOLS: readonly Tool[] = TOOLS.filter(({ inputSchema }) => inputSchema.properties !== undefined).map(
  (tool) => {
    const properties = Object.entries(tool.inputSchema.properties as Record<string, Record<string, unknown>>);
    const said = properties.filter(([, { type }]) => typeof type === "string");
    return { ...tool, inputSchema: { ...tool.inputSchema, properties: Object.fromEntries(said) } };
  },
);

/** Whether a call can be made with these tools. */
export function fits({ calls = [] }: Said, tools: readonly Tool[]): boolean {
  return calls.every(([name, input]) => {
    const { properties = {} } = tools.find((tool) => tool.name === name)?.inputSchema ?? {};
    return tools.some((tool) => tool.name === name) && Object.keys(input).every((key) => key in (properties as object));
  });
}

function search(input: CallSaid[1]): Said {
  return { calls: [["search_web", input]] };
}

/** What is said, by what is hard in it. */
export const CALLS: Readonly<Record<string, Said>> = {
  "one call": { calls: [["get_weather", { city: "Oslo", days: 3 }]] },
  "text before a call": { text: "Let me look.", calls: [["get_weather", { city: "Oslo", days: 3 }]] },
  "no arguments": { calls: [["get_time", {}]] },
  "two calls": { calls: [["get_weather", { city: "Oslo" }], ["search_web", { query: "x", exact: false }]] },
  "two calls without arguments": { calls: [["get_time", {}], ["get_time", {}]] },
  "text before two calls": { text: "Both:", calls: [["get_time", {}], ["get_weather", { city: "Rome" }]] },
  "three calls of one tool": {
    calls: ["Oslo", "Rome", "Bern"].map((city): CallSaid => ["get_weather", { city }]),
  },
  "a name with signs in it": { calls: [["calendar.events/list-all", { "with-past": true, q: "true" }]] },
  "an empty string": { calls: [["get_weather", { city: "" }]] },
  "quotes and signs": search({ query: `a "b" 'c' \\x \\" & it's, {1} [2] (3)=4; <5> #6 %7 \`8\` $9`, limit: 5 }),
  "line breaks": search({ query: "\n first\n\n\tlast \r\n" }),
  "other scripts": search({ query: "Zürich 🌦 不错 é\u0301\u2028" }),
  "numbers": search({ limit: -5, ratio: 2.5, any: 1e-5 }),
  "words": search({ exact: true, nothing: null, any: false }),
  "strings that look like something else": search({
    query: "5",
    nothing: "plain",
    any: "plain",
    tags: ["true", "3.10"],
  }),
  "objects and lists": search({
    tags: ["a", "b, c", ""],
    filters: { lang: ["en", "nb's"], deep: { on: false, text: 'x "y"\nz', list: [1, [2.5, null], { a: true }] } },
  }),
  "empty objects and lists": search({ tags: [], filters: {} }),
  "arguments of which nothing is said": {
    calls: [["run", { command: "ls -l | grep 'a'", count: 3, flags: ["-x"], env: { A: "b" }, dry: true }]],
  },
  "JSON in a string": search({ query: '{"name": "get_time", "arguments": {}}' }),
};

/** Strings that hold what the family itself writes around calls. */
export function markerCalls(model: TestModel, dialect: Dialect): Readonly<Record<string, Said>> {
  const names = model.specialTokens.map(({ name }) => name).filter((name) => name.length > 1).slice(0, 200);
  const written = dialect.call === undefined ? [] : textsOf(dialect.call);
  const all = [...new Set([...names, ...written])];
  return {
    "all markers in a string": search({ query: `see ${all.join(" ")} end` }),
    "a marker as the whole string": search({ query: all[0] ?? "<a>", tags: all.slice(0, 4) }),
    ...Object.fromEntries(
      written.filter((text) => text.trim().length > 2).map((text) => [
        `${JSON.stringify(text)} in a string`,
        search({ query: `a${text}b` }),
      ]),
    ),
  };
}

/** What a form of calls writes around names and values. */
function textsOf(form: CallForm): string[] {
  const { arguments: args } = form;
  const parts = [...form.head, ...form.tail].flatMap((part) => part.type === "text" ? [part.text] : []);
  const markers = [
    ...[form.marker, form.sectionOpen, form.between, form.sectionClose, ...parts],
    ...(args.type === "elements" ? [args.open, args.close, args.between] : []),
    ...(args.type === "nested" ? [args.open, args.close] : []),
    ...(args.type === "gemma" ? [args.quote] : []),
  ];
  return [...new Set(markers.map((marker) => withControlNames(textOf(marker))))].filter((text) => text !== "");
}
