/** What the tests of chat templates share: a table of templates with what Python's jinja2 renders of them. */
import { assertEquals } from "@std/assert";
import { asInput, Template, TemplateError } from "../../../../src/engine/jinja/template.ts";

/** What the templates of the tables may read. */
export const VARIABLES = {
  s: "héllo wörld",
  n: null,
  t: true,
  f: false,
  i: 42,
  x: 2.5,
  l: [3, 1, 2],
  d: { b: 1, a: [1, 2], c: { k: "v" } },
  e: "",
  emoji: "a\u{1f600}b",
  users: [
    { name: "Bo", age: 3, city: "oslo" },
    { name: "al", age: 1, city: "Rome" },
    { name: "Cy", age: 2, city: "Oslo" },
  ],
  msgs: [{ role: "system", content: "S" }, { role: "user", content: "U" }, { role: "assistant", content: null }],
  html: `<b>&"'x</b>`,
  multi: "one\ntwo\n\nthree",
  words: "  the quick  brown fox ",
};

/** When the templates are rendered. */
export const NOW = new Date(2025, 6, 4, 15, 6, 7);

/** The text of a template, or the message and line of its error. */
export function render(source: string, variables: Readonly<Record<string, unknown>> = {}): string {
  try {
    return new Template(source, () => NOW).render(variables).text;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return `${error.line}: ${error.message}`;
  }
}

/** The text of a template with `⟦…⟧` around what came from a request. */
export function renderMarks(source: string, variables: Readonly<Record<string, unknown>>): string {
  const { text, input } = new Template(source).render(variables);
  let shown = "";
  let at = 0;
  for (let i = 0; i < input.length; i += 2) {
    const [from = 0, to = 0] = input.slice(i, i + 2);
    shown += `${text.slice(at, from)}⟦${text.slice(from, to)}⟧`;
    at = to;
  }
  return shown + text.slice(at);
}

/** Renders each template with the variables as they are, and again with all of them marked as input. */
export function assertRendered(cases: readonly (readonly [template: string, expected: string])[]): void {
  const marked = Object.fromEntries(Object.entries(VARIABLES).map(([name, value]) => [name, asInput(value)]));
  const rendered = cases.map(([template]) => [template, render(template, VARIABLES)]);
  assertEquals(rendered, cases as unknown as string[][]);
  assertEquals(cases.map(([template]) => [template, render(template, marked)]), rendered);
}

/** Expects each template to fail, when it is read or when it is rendered, with a line and a message. */
export function assertFailures(cases: readonly (readonly [template: string, error: string])[]): void {
  for (const [template, error] of cases) {
    assertEquals([template, render(template, VARIABLES)], [template, error]);
  }
}
