/** What a template takes and gives, and which line its errors name. */
import { assertEquals, assertThrows } from "@std/assert";
import { asInput, Template, TemplateError } from "../../../../src/engine/jinja/template.ts";
import { render, renderMarks } from "./support.ts";

function errorOf(source: string, variables: Readonly<Record<string, unknown>> = {}): TemplateError {
  return assertThrows(() => new Template(source).render(variables), TemplateError);
}

Deno.test("an error names the line of the operation that failed", () => {
  const lines: readonly (readonly [source: string, line: number])[] = [
    ["a\nb\n{{ 1 + 'x' }}", 3],
    ["{{ 1 +\n  2 +\n  'x' }}", 2],
    ["{{\n\n[\n  1,\n  u.x\n] }}", 5],
    ["{% if true %}\n{% for x in [1] %}\n{{ x.y.z }}\n{% endfor %}\n{% endif %}", 3],
    ["{% for x in [1,\n 2] %}\n{% endfor %}\n{% for x in 5 %}{% endfor %}", 4],
    ["\n{% macro f(x) %}\n{{ x.a.b }}\n{% endmacro %}\n\n{{ f({}) }}", 3],
    ["\n{% macro f() %}\nx\n{% endmacro %}\n{{ f() + 1 }}", 5],
    ["{% macro f(x) %}x{% endmacro %}\n\n{{ f(1, 2) }}", 3],
    ["{# a\ncomment #}\n{% raw %}\n\n{% endraw %}{{ u.x }}", 5],
    ["a\r\nb\r{{ u.x }}", 3],
    ["{%- set x = 1 -%}\n\n\n{{- u.x -}}", 4],
    ["{{ {'a': 1,\n'b': [1]|sum('x',\n 'y')} }}", 2],
    ["\n{% set x = u.y %}", 2],
    ["\n{% set a, b = [1] %}", 2],
    ["\n\n{{ raise_exception('no') }}", 3],
    ["{% set x %}\n{{ u.y }}\n{% endset %}", 2],
    ["{% macro f() %}{{ caller() }}{% endmacro %}\n{% call f() %}\n{{ u.y }}{% endcall %}", 3],
    ["\n{{ [1]|map('nosuch')|list }}", 2],
    ["x\n{{ [1, 'a']\n|sort }}", 3],
    ["x\n{% if 1 < 2 <\n 'a' %}{% endif %}", 2],
  ];
  for (const [source, line] of lines) assertEquals([source, errorOf(source).line], [source, line]);
});

Deno.test("an error of a template that cannot be read names its line when the template is made", () => {
  const lines: readonly (readonly [source: string, line: number])[] = [
    ["a\n{{ 1 + }}", 2],
    ["a\n{% nosuch %}", 2],
    ["a\n{{ 1|nosuch }}", 2],
    ["a\n{{ 1 is\n nosuch }}", 2],
    ["a\n{% for x in y %}\n{% endif %}", 3],
    ["a\n{{ 'x\n }}", 2],
    ["a\n{# x\n", 2],
    ["a\n{% break %}", 2],
    ["a\n\n{% set 1 = 2 %}", 3],
    ["a\n{{ (\n] }}", 3],
    ["{% if x %}\n\n", 2],
  ];
  for (const [source, line] of lines) {
    assertEquals([source, assertThrows(() => new Template(source), TemplateError).line], [source, line]);
  }
});

Deno.test("an unknown filter that may never be reached is no error until it is", () => {
  const source = "{% if x is string %}{{ x|from_json }}{% endif %}ok";
  assertEquals(new Template(source).render({ x: {} }).text, "ok");
  assertEquals(render(source, { x: "{}" }), '1: No filter named "from_json"');
});

Deno.test("only an error of raise_exception is the template's refusal", () => {
  const refusal = errorOf("{{ raise_exception('Roles must ' ~ 'alternate') }}");
  assertEquals([refusal.message, refusal.raised, refusal.name], ["Roles must alternate", true, "TemplateError"]);
  assertEquals(errorOf("{{ u.x }}").raised, false);
  assertEquals(errorOf("{{ raise_exception() }}").raised, false);
  assertEquals(errorOf("{{ raise_exception(x) }}", { x: asInput("in") }).message, "in");
});

Deno.test("a template changes its own lists and not those it is given", () => {
  const template = new Template(
    "{% do l.append(4) %}{% do d.update(k=1) %}{% do m[0].c.append(5) %}{{ l }}{{ d }}{{ m }}",
  );
  const variables = { l: [3], d: asInput({ a: 1 }), m: [{ c: asInput([1]) }] };
  const expected = "[3, 4]{'a': 1, 'k': 1}[{'c': [1, 5]}]";
  assertEquals(template.render(variables).text, expected);
  assertEquals(template.render(variables).text, expected);
  assertEquals(variables.l, [3]);
});

Deno.test("keys keep the order of a Map, also those that look like numbers", () => {
  const map = new Map<string, unknown>([["10", 1], ["b", new Map([["2", asInput("x")], ["1", null]])], ["9", 2]]);
  assertEquals(
    renderMarks("{{ d|tojson }} {{ d }}", { d: map }),
    `{"10": 1, "b": {"2": "⟦x⟧", "1": null}, "9": 2} {'10': 1, 'b': {'2': '⟦x⟧', '1': None}, '9': 2}`,
  );
  assertEquals(
    renderMarks("{{ d|tojson }}", { d: asInput(map) }).replaceAll(/[⟦⟧]/g, ""),
    `{"10": 1, "b": {"2": "x", "1": null}, "9": 2}`,
  );
  const marked = asInput(new Map([["k", [1.5, true, "v"]]]));
  assertEquals(renderMarks("{{ d }} {{ d.k[2] }}", { d: marked }), "{'⟦k⟧': [1.5, True, '⟦v⟧']} ⟦v⟧");
});

Deno.test("a variable or a key that is undefined is as if it were not there", () => {
  assertEquals(
    render("{{ a is defined }} {{ d }} {{ l }}", { a: undefined, d: { k: undefined, m: 1 }, l: [undefined] }),
    "False {'m': 1} [None]",
  );
});

Deno.test("a variable that is no JSON value is refused", () => {
  assertEquals(render("", { f: () => 1 }), "1: A variable is a function, which is no JSON value");
  assertEquals(render("", { f: [Symbol("s")] }), "1: A variable is a symbol, which is no JSON value");
});

Deno.test("numbers print as Python's integers and floats do", () => {
  assertEquals(
    render("{{ n }} {{ n|tojson }}", { n: [1, -0, 1.5, 1e16, 1e22, 1e-7, 0.1, NaN, Infinity, -Infinity] }),
    "[1, 0, 1.5, 10000000000000000, 10000000000000000000000, 1e-07, 0.1, nan, inf, -inf] " +
      "[1, 0, 1.5, 10000000000000000, 10000000000000000000000, 1e-07, 0.1, NaN, Infinity, -Infinity]",
  );
});

Deno.test("a variable may have the name of a global function", () => {
  assertEquals(render("{{ range }} {{ dict }}", { range: "r" }), "r <function dict>");
  assertEquals(render("{{ range(2)|list }}{% set range = 1 %}{{ range }}"), "[0, 1]1");
});

Deno.test("strftime_now tells the time of the clock that the template is given", () => {
  const clock = (...time: [number, number, number, number, number]) => (): Date => new Date(...time);
  const dates = (format: string, now: () => Date): string =>
    new Template(`{{ strftime_now('${format}') }}`, now).render({}).text;
  assertEquals(dates("%Y-%m-%d %H:%M", clock(2024, 1, 29, 23, 5)), "2024-02-29 23:05");
  assertEquals(dates("%j %U %W %V %G %a %I %p", clock(2024, 11, 31, 0, 0)), "366 52 53 01 2025 Tue 12 AM");
  assertEquals(dates("%j %U %W %V %G %u %w", clock(2023, 0, 1, 12, 0)), "001 01 00 52 2022 7 0");
  assertEquals(dates("%-d/%-m/%-y %e", clock(2005, 2, 4, 12, 0)), "4/3/5  4");
  assertEquals(render("{{ strftime_now('%Q') }}"), '1: strftime_now does not know "%Q"');
});
