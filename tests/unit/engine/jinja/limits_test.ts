/** Templates come from strangers: none may hold the engine, fill its memory or reach JavaScript's objects. */
import { assertEquals, assertMatch } from "@std/assert";
import { asInput } from "../../../../src/engine/jinja/template.ts";
import { render } from "./support.ts";

const STEPS = /^\d+: The template takes more than \d+ steps$/;
const LONG = /^\d+: A string grows beyond \d+ characters$/;
const MANY = /^\d+: A list grows beyond \d+ elements$/;
const DEEP = /nested deeper than|levels deep|^\d+: The template asks for too much/;

function assertRefused(expected: RegExp, templates: readonly string[]): void {
  for (const template of templates) {
    assertMatch(render(template, { x: asInput("in") }), expected, template.slice(0, 200));
  }
}

Deno.test("a template that does not end is refused", () => {
  assertRefused(STEPS, [
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in range(100000) %}{% set q = range(100000)|list %}{% endfor %}",
    "{% for i in range(100000) %}{% set q = range(100000)|sum %}{% endfor %}",
    "{% set l = [1] %}{% for i in l %}{% do l.append(i) %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(100) }}",
    "{% set l = [0] * 100000 %}{% for i in range(100000) %}{% set q = l|string %}{% endfor %}",
    "{% set l = [0] * 100000 %}{% for i in range(100000) %}{% set q = l == l[:] %}{% endfor %}",
    "{% set l = [0] * 100000 %}{% for i in range(100000) %}{% set q = 1 in l %}{% endfor %}",
    "{{ ([[1, 2]] * 100000)|sum(start=[])|length }}",
  ]);
});

Deno.test("a template that goes through long strings again and again is refused", () => {
  const long = "{% set s = 'x' * 30000000 %}{% set t = 'x' * 29999999 ~ 'x' %}";
  const loop = (body: string): string => `${long}{% for i in range(100000) %}${body}{% endfor %}`;
  assertRefused(STEPS, [
    loop("{% if s.upper() == 'a' %}{% endif %}"),
    loop("{% if s == t %}{% endif %}"),
    loop("{% if 'y' in s %}{% endif %}"),
    loop("{% set q = {}[s ~ i] %}"),
    loop("{% set q = {}.get(s ~ i) %}"),
    loop("{% set q = s|length %}"),
    loop("{% set q = s[1:] %}"),
    "{% set ns = namespace(s=x) %}{% for i in range(100000) %}{% set ns.s = x ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s=x) %}{% for i in range(100000) %}{% set ns.s = x + ns.s %}{% endfor %}",
    "{% set ns = namespace(s=x) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set q = (x ~ 'a') * 1000000 %}{% for i in range(1000) %}{% set w = q[1:] %}{% endfor %}",
  ]);
});

Deno.test("a string that grows too long is refused", () => {
  assertRefused(LONG, [
    "{{ 'x' * 1000000000 }}",
    "{{ x * 1000000000 }}",
    "{% set ns = namespace(s='xx') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set s = 'x' * 30000000 %}{{ s }}{{ s }}",
    "{% set s = 'x' * 30000000 %}{{ s.replace('x', 'yy') }}",
    "{{ ('<' * 10000000)|e }}",
    "{{ ('ß' * 20000000).upper() }}",
    "{% set s = 'a' * 1000000 %}{{ s.join(s) }}",
    "{{ ('a' * 10000)|join('b' * 10000) }}",
    "{{ ('a{0}' * 100000).format('b' * 10000) }}",
    "{{ ('\\t' * 1000000).expandtabs(1000000) }}",
    "{{ '%1000000000d' % 1 }}{{ '{:1000000000}'.format(1) }}",
    "{{ '{:1000000000}'.format('a') }}",
    "{{ '{:01000000000,}'.format(1) }}",
    "{{ 'a'.center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a\\nb'|indent(1000000000) }}",
    "{{ [1]|tojson(indent=1000000000) }}",
  ]);
});

Deno.test("a list that grows too long is refused", () => {
  assertRefused(MANY, [
    "{{ [0] * 1000000000 }}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
    "{{ [1]|batch(1000000000, 0)|list }}",
    "{{ [1]|slice(1000000000)|list }}",
    "{{ ('x' * 10000000).split('x') }}",
    "{{ ('x ' * 10000000).split() }}",
    "{{ ('\\n' * 10000000).splitlines() }}",
    "{% set l = [0] * 1000000 %}{% do l.append(1) %}",
  ]);
  assertRefused(/^1: A string of more than 1000000 characters is taken apart$/, [
    "{{ ('x' * 30000000)|list }}",
    "{% for c in 'x' * 30000000 %}{% endfor %}",
    "{{ ('x' * 30000000).replace('', 'y') }}",
  ]);
  assertEquals(render("{{ range(100001) }}"), "1: Range too big. The longest range has 100000 elements");
});

Deno.test("numbers that only a larger type could hold are refused, not rounded", () => {
  assertRefused(/^1: (An integer grows beyond|The integer .* is too large)/, [
    "{{ 10 ** 10 ** 10 }}",
    "{{ 9007199254740991 + 1 }}",
    "{{ 99999999 * 999999999 }}",
    "{{ 123456789012345678901234567890 }}",
    "{{ ('9' * 1000)|int }}",
  ]);
});

Deno.test("recursion ends with an error and not with the stack", () => {
  assertRefused(DEEP, [
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    `{{ ${"(".repeat(5000)}1${")".repeat(5000)} }}`,
    `{{ ${"[".repeat(5000)}${"]".repeat(5000)} }}`,
    `{{ ${"not ".repeat(5000)}1 }}`,
    `{{ ${"-".repeat(5000)}1 }}`,
    `{{ ${"1+".repeat(50000)}1 }}`,
    `{{ 1${"|string".repeat(50000)} }}`,
    `{{ x${".a".repeat(50000)} }}`,
    "{% if 1 %}".repeat(5000) + "{% endif %}".repeat(5000),
    "{% set l = [] %}{% do l.append(l) %}{{ l }}",
    "{% set l = [] %}{% do l.append(l) %}{{ l|tojson }}",
    "{% set d = {} %}{% do d.update(d=d) %}{{ d }}",
    "{% set l = [] %}{% do l.append(l) %}{% set m = [] %}{% do m.append(m) %}{{ l == m }}",
  ]);
  let nested: unknown = 1;
  for (let i = 0; i < 10_000; i++) nested = [nested];
  assertMatch(render("{{ nested }}", { nested }), DEEP);
  assertMatch(render("{{ nested }}", { nested: asInput(nested) }), DEEP);
});

Deno.test("lists that hold each other many times are not gone through to the end", () => {
  const doubled = (start: string, pair: string): string =>
    `{% set ns = namespace(a=${start}, b=${start}) %}{% for i in range(60) %}` +
    `{% set ns.a = ${pair.replaceAll("?", "ns.a")} %}{% set ns.b = ${pair.replaceAll("?", "ns.b")} %}{% endfor %}`;
  assertRefused(STEPS, [
    `${doubled("[]", "[?, ?]")}{{ ns.a == ns.b }}`,
    `${doubled("[1]", "[?, ?]")}{{ ns.a < ns.b }}`,
    `${doubled("[]", "[?, ?]")}{{ ns.a }}`,
    `${doubled("[]", "[?, ?]")}{{ ns.a|tojson }}`,
    `${doubled("{}", "{'k': ?, 'l': ?}")}{{ ns.a == ns.b }}`,
  ]);
  assertRefused(/^1: A tuple is too large for a key$/, [
    `${doubled("(1,)", "(?, ?)")}{{ {ns.a: 1} }}`,
    `${doubled("()", "(?, ?)")}{{ {}[ns.a] }}`,
  ]);
});

Deno.test("texts that would take a reader with backtracking hours are read", () => {
  const cases: readonly (readonly [template: string, expected: RegExp])[] = [
    [`{{ ${"1".repeat(100_000)} }}`, /^1: The integer 1+ is too large$/],
    [`{{ ${"1_".repeat(100_000)} }}`, /^1: The integer 1+ is too large$/],
    [`{{ ${"1".repeat(100_000)}.5 }}`, /^inf$/],
    [`{%${" ".repeat(100_000)}`, /^1: Unexpected end of template/],
    ["{%- raw".repeat(10_000), /^1: Expected "%}", got name "raw"$|^1: Unknown tag|^1: Unexpected/],
    [`{{ '${"\\\\".repeat(100_000)} }}`, /^1: A string is not closed$/],
    ["{{ ('<' * 1000000)|striptags|length }}", /^1000000$/],
    ["{{ ('<!--' * 1000000)|striptags|length }}", /^4000000$/],
    ["{{ ('1' * 200000 ~ 'x')|float }}", /^0\.0$/],
    ["{{ ('1' * 200000 ~ 'x')|int }}", /^0$/],
    ["{{ ('1_' * 200000)|float }}", /^0\.0$/],
    ["{% set l = [0] * 500000 %}{% do l.sort() %}{{ l|length }}{{ (l|sort)|length }}", /^500000500000$/],
    ["{{ ('{' * 100001).format() }}", /^1: /],
    ["{{ ('%(' * 100000) % {} }}", /^1: incomplete format$|^1: unsupported format character/],
    ["{{ strftime_now('%A' * 1000000) }}", /^1: A format of a date is longer than/],
  ];
  for (const [template, expected] of cases) assertMatch(render(template), expected, template.slice(0, 100));
});

Deno.test("no template reaches JavaScript's objects", () => {
  const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "__defineGetter__"];
  for (const name of names) {
    for (const value of ["{}", "[]", "''", "5", "none", "range", "namespace()", "range(3)", "{}.items()", "x", "d"]) {
      assertEquals(render(`{{ ${value}.${name} }}|{{ ${value}['${name}'] }}`, { x: asInput("in"), d: { k: 1 } }), "|");
    }
    assertEquals(render(`{{ ${name} }}|{{ ${name} is defined }}`), "|False");
    assertEquals(
      render(`{{ '{0.${name}}'.format({}) }}{{ [{}]|map(attribute='${name}')|join }}{{ {}|attr('${name}') }}`),
      "",
    );
    assertMatch(render(`{{ 1|${name} }}`), /^1: No filter named/);
    assertMatch(render(`{{ 1 is ${name} }}`), /^1: No test named/);
    assertMatch(render(`{% ${name} %}`), /^1: Unknown tag/);
    assertEquals(
      render(`{% set d = {} %}{% do d.update({'${name}': 'mine'}) %}{{ d['${name}'] }}{{ d }}`),
      `mine{'${name}': 'mine'}`,
    );
    assertEquals(
      render(`{% set ${name} = 1 %}{{ ${name} }}{% set ns = namespace() %}{% set ns.${name} = 2 %}{{ ns.${name} }}`),
      "12",
    );
  }
  assertEquals(render("{{ ''.__class__ }}|"), "|");
  assertEquals(render("{{ ''.__class__.__mro__ }}"), "1: 'str object' has no attribute '__class__'");
});
