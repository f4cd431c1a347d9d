/** Which characters of a rendered text came from a request. `⟦…⟧` stands around those. */
import { assertEquals } from "@std/assert";
import { asInput, Template } from "../../../../src/engine/jinja/template.ts";
import { renderMarks } from "./support.ts";

const INPUT = {
  a: asInput("in"),
  b: asInput("put"),
  own: "own",
  pad: asInput("  x y  "),
  csv: asInput("p,q,r"),
  lines: asInput("l1\nl2\n\nl3"),
  quoted: asInput(`a"b\\c\n'd'`),
  emoji: asInput("\u{1f600}z"),
  word: asInput("straße"),
  html: asInput("<b>&</b>"),
  path: asInput("a b/c"),
  number: asInput(5),
  nothing: asInput(""),
  list: asInput(["e1", "e2", 3, null, true]),
  dict: asInput({ key: "value", other: { deep: ["v"] }, n: 1 }),
  messages: [{ role: "user", content: asInput("hello") }, { role: "assistant", content: asInput("hi") }],
};

function assertMarked(cases: readonly (readonly [template: string, expected: string])[]): void {
  assertEquals(cases.map(([template]) => [template, renderMarks(template, INPUT)]), cases as unknown as string[][]);
}

Deno.test("what a template prints of a request is marked, and nothing else", () => {
  assertMarked([
    ["x{{ a }}y", "x⟦in⟧y"],
    ["{{ a }}{{ b }}", "⟦input⟧"],
    ["{{ own }}{{ a }}{{ 'lit' }}", "own⟦in⟧lit"],
    ["{{ number }} {{ nothing }}|", "5 |"],
    ["{{ dict.key }} {{ dict['other'].deep[0] }} {{ dict.n }}", "⟦value⟧ ⟦v⟧ 1"],
    ["{{ messages[0].role }}: {{ messages[0].content }}", "user: ⟦hello⟧"],
    ["{{ a if true else own }}{{ missing or a }}{{ nothing or own }}", "⟦inin⟧own"],
  ]);
});

Deno.test("marks go through additions and repetitions", () => {
  assertMarked([
    ["{{ 'x' + a + 'y' }}", "x⟦in⟧y"],
    ["{{ a + b }}", "⟦input⟧"],
    ["{{ 'x' ~ a ~ 1 ~ b ~ none }}", "x⟦in⟧1⟦put⟧None"],
    ["{{ (a ~ '-') * 3 }}", "⟦in⟧-⟦in⟧-⟦in⟧-"],
    [
      "{% set ns = namespace(s=a) %}{% for i in range(3) %}{% set ns.s = ns.s ~ '.' ~ b %}{% endfor %}{{ ns.s }}",
      "⟦in⟧.⟦put⟧.⟦put⟧.⟦put⟧",
    ],
    [
      "{% set s = 'x' ~ a %}{% set t = s ~ b %}{% set u = s ~ '!' ~ b %}{{ s }} {{ t }} {{ u }} {{ s ~ s }}",
      "x⟦in⟧ x⟦input⟧ x⟦in⟧!⟦put⟧ x⟦in⟧x⟦in⟧",
    ],
    [
      "{% set s = 'x' ~ a %}{% set t = s ~ 'y' %}{% set u = s ~ b %}{% set v = t ~ b %}{{ s }} {{ t }} {{ u }} {{ v }}",
      "x⟦in⟧ x⟦in⟧y x⟦input⟧ x⟦in⟧y⟦put⟧",
    ],
  ]);
});

Deno.test("marks go through slices, subscripts and iteration", () => {
  assertMarked([
    ["{{ ('ab' ~ a ~ 'cd')[1:5] }}", "b⟦in⟧c"],
    ["{{ ('ab' ~ a)[::-1] }} {{ ('a' ~ b)[::2] }} {{ ('a' ~ b)[1] }}{{ ('a' ~ b)[0] }}", "⟦ni⟧ba a⟦u⟧ ⟦p⟧a"],
    ["{{ emoji[0] }}|{{ ('x' ~ emoji)[1:] }}|{{ emoji[1:] }}", "⟦\u{1f600}⟧|⟦\u{1f600}z⟧|⟦z⟧"],
    ["{% for c in 'a' ~ b %}{{ c }}.{% endfor %}", "a.⟦p⟧.⟦u⟧.⟦t⟧."],
    ["{{ ('a' ~ b)|list }}", "['a', '⟦p⟧', '⟦u⟧', '⟦t⟧']"],
    ["{{ ('a' ~ b)|reverse }} {{ ('a' ~ b)|first }} {{ ('a' ~ b)|last }}", "⟦tup⟧a a ⟦t⟧"],
  ]);
});

Deno.test("marks go through the methods of strings", () => {
  assertMarked([
    [
      "[{{ pad.strip() }}] [{{ (' -' ~ a ~ '- ').strip(' -') }}] [{{ pad.lstrip() }}] [{{ pad.rstrip() }}]",
      "[⟦x y⟧] [⟦in⟧] [⟦x y  ⟧] [⟦  x y⟧]",
    ],
    [
      "{{ csv.split(',') }} {{ ('0,' ~ csv).split(',', 1) }} {{ csv.rsplit(',', 1)[0] }}",
      "['⟦p⟧', '⟦q⟧', '⟦r⟧'] ['0', '⟦p,q,r⟧'] ⟦p,q⟧",
    ],
    [
      "{{ pad.split() }} {{ lines.splitlines() }} {{ csv.partition(',') }}",
      "['⟦x⟧', '⟦y⟧'] ['⟦l1⟧', '⟦l2⟧', '', '⟦l3⟧'] ('⟦p⟧', ',', '⟦q,r⟧')",
    ],
    [
      "{{ csv.replace(',', '; ') }} {{ 'x-y'.replace('-', a) }} {{ csv.replace('q', own) }}",
      "⟦p⟧; ⟦q⟧; ⟦r⟧ x⟦in⟧y ⟦p,⟧own⟦,r⟧",
    ],
    [
      "{{ ('x' ~ a).upper() }} {{ ('X' ~ a).lower() }} {{ ('x ' ~ a).title() }} {{ a.capitalize() }} {{ a.swapcase() }}",
      "X⟦IN⟧ x⟦in⟧ X ⟦In⟧ ⟦In⟧ ⟦IN⟧",
    ],
    ["{{ ('ß' ~ word ~ 'ß').upper() }}", "SS⟦STRASSE⟧SS"],
    ["{{ ', '.join(['x', a, b]) }} {{ a.join('123') }}", "x, ⟦in⟧, ⟦put⟧ 1⟦in⟧2⟦in⟧3"],
    ["{{ '{}:{k}'.format(a, k=b) }} {{ '{:>4}|{:.1}'.format(a, b) }}", "⟦in⟧:⟦put⟧   ⟦in⟧|⟦p⟧"],
    ["{{ (a ~ '{}').format('x') }} {{ '{!r}'.format(a) }}", "⟦in⟧x '⟦in⟧'"],
    ["{{ '%s-%5s-%s' % (a, b, own) }} {{ '%(k)s' % {'k': a} }} {{ (a ~ '%d') % 5 }}", "⟦in⟧-  ⟦put⟧-own ⟦in⟧ ⟦in⟧5"],
    ["{{ a.ljust(4, '.') }}{{ a.rjust(4) }}{{ a.center(4, '*') }}{{ a.zfill(4) }}", "⟦in⟧..  ⟦in⟧*⟦in⟧*00⟦in⟧"],
    [
      "{{ ('x' ~ a).removeprefix('x') }} {{ ('x' ~ a).removesuffix('n') }} {{ ('\t' ~ a).expandtabs(2) }}",
      "⟦in⟧ x⟦i⟧   ⟦in⟧",
    ],
  ]);
});

Deno.test("marks go through the filters of texts", () => {
  assertMarked([
    [
      "[{{ pad|trim }}] {{ csv|replace(',', '-') }} {{ ['x', a]|join('+') }} {{ messages|join(',', attribute='content') }}",
      "[⟦x y⟧] ⟦p⟧-⟦q⟧-⟦r⟧ x+⟦in⟧ ⟦hello⟧,⟦hi⟧",
    ],
    ["{{ ('x' ~ a)|upper }} {{ a|title }} {{ a|capitalize }} {{ a|center(4) }}", "X⟦IN⟧ ⟦In⟧ ⟦In⟧  ⟦in⟧ "],
    ["{{ lines|indent(2) }}", "⟦l1⟧\n  ⟦l2⟧\n\n  ⟦l3⟧"],
    ["{{ ('abc ' ~ 'def ' ~ b)|truncate(6, true, '…', 0) }} {{ csv|truncate(3, true, '', 0) }}", "abc d… ⟦p,q⟧"],
    [
      "{{ ('<' ~ html)|e }} {{ html|safe + '<' }} {{ ('<p>' ~ html)|striptags }}",
      "&lt;⟦&lt;b&gt;&amp;&lt;/b&gt;⟧ ⟦<b>&</b>⟧&lt; ⟦&⟧",
    ],
    [
      "{{ path|urlencode }} {{ {'k': path}|urlencode }} {{ '%s'|format(a) }} {{ a|string }} {{ a|default('x') }} {{ missing|default(a) }}",
      "⟦a%20b/c⟧ k=⟦a+b%2Fc⟧ ⟦in⟧ ⟦in⟧ ⟦in⟧ ⟦in⟧",
    ],
    ["{% filter upper %}x{{ a }}{% endfilter %} {% filter replace('n', 'm') %}n{{ a }}{% endfilter %}", "X⟦IN⟧ m⟦i⟧m"],
  ]);
});

Deno.test("a printed list and a dict mark the strings in them, keys too, without quotes and brackets", () => {
  assertMarked([
    ["{{ list }} {{ list|string }}", "['⟦e1⟧', '⟦e2⟧', 3, None, True] ['⟦e1⟧', '⟦e2⟧', 3, None, True]"],
    ["{{ dict }}", "{'⟦key⟧': '⟦value⟧', '⟦other⟧': {'⟦deep⟧': ['⟦v⟧']}, '⟦n⟧': 1}"],
    ["{{ [quoted] }}", `['⟦a"b\\\\c\\n\\'d\\'⟧']`],
    [
      "{{ dict.items()|list }} {{ (a, 'x') }} {{ 'x' ~ list }}",
      "[('⟦key⟧', '⟦value⟧'), ('⟦other⟧', {'⟦deep⟧': ['⟦v⟧']}), ('⟦n⟧', 1)] ('⟦in⟧', 'x') x['⟦e1⟧', '⟦e2⟧', 3, None, True]",
    ],
  ]);
});

Deno.test("JSON marks the escaped characters of strings, and neither quotes nor brackets", () => {
  assertMarked([
    ["{{ a|tojson }} {{ list|tojson }}", `"⟦in⟧" ["⟦e1⟧", "⟦e2⟧", 3, null, true]`],
    ["{{ dict|tojson }}", `{"⟦key⟧": "⟦value⟧", "⟦other⟧": {"⟦deep⟧": ["⟦v⟧"]}, "⟦n⟧": 1}`],
    ["{{ quoted|tojson }} {{ ('\"' ~ quoted)|tojson }}", `"⟦a\\"b\\\\c\\n'd'⟧" "\\"⟦a\\"b\\\\c\\n'd'⟧"`],
    ["{{ emoji|tojson(ensure_ascii=true) }}", `"⟦\\ud83d\\ude00z⟧"`],
    ["{{ {'k': a, 'own': own}|tojson(indent=1) }}", `{\n "k": "⟦in⟧",\n "own": "own"\n}`],
  ]);
});

Deno.test("marks go through blocks, macros and loops", () => {
  assertMarked([
    ["{% set x %}<{{ a }}>{% endset %}{{ x }}{{ x|upper }}", "<⟦in⟧><⟦IN⟧>"],
    [
      "{% macro f(x, y='d') %}{{ x }}{{ y }}{{ caller() if caller else '' }}{% endmacro %}{{ f(a) }} {{ f(own, b) }} {% call f(a) %}!{{ b }}{% endcall %}",
      "⟦in⟧d own⟦put⟧ ⟦in⟧d!⟦put⟧",
    ],
    [
      "{% for k, v in dict.items() %}{{ k }}={{ v if v is string else '' }};{% endfor %}",
      "⟦key⟧=⟦value⟧;⟦other⟧=;⟦n⟧=;",
    ],
    [
      "{% for k in dict %}{{ k }} {% endfor %}{{ dict.keys()|join }} {{ dict|dictsort|map('first')|join(',') }} {{ dict|list|sort|join }}",
      "⟦key⟧ ⟦other⟧ ⟦n⟧ ⟦keyothern⟧ ⟦key⟧,⟦n⟧,⟦other⟧ ⟦keynother⟧",
    ],
    [
      "{% for m in messages %}{{ loop.cycle('x', a) }}{{ loop.previtem.content if loop.previtem }}{% endfor %}",
      "x⟦inhello⟧",
    ],
    [
      "{% set l = ['x'] %}{% do l.append(a) %}{{ l|join }}{{ l.pop() }}{{ messages|map(attribute='content')|map('upper')|join }}",
      "x⟦ininHELLOHI⟧",
    ],
    ["{% for c in [a] recursive %}{{ c }}{{ loop([b]) if loop.depth == 1 }}{% endfor %}", "⟦input⟧"],
    ["{% set d = {} %}{% do d.update({a: b}) %}{{ d }} {{ namespace(k=a).k }}", "{'⟦in⟧': '⟦put⟧'} ⟦in⟧"],
    [
      "{{ list|batch(2)|list }} {{ [a, own, a]|unique|join(',') }} {{ [b, a]|sort|join(',') }} {{ [b, a]|min }}",
      "[['⟦e1⟧', '⟦e2⟧'], [3, None], [True]] ⟦in⟧,own ⟦in⟧,⟦put⟧ ⟦in⟧",
    ],
  ]);
});

Deno.test("comparisons and lookups do not see marks", () => {
  assertMarked([
    [
      "{{ a == 'in' }}{{ a in ['in'] }}{{ 'n' in a }}{{ a.startswith('i') }}{{ a < 'j' }}{{ a is eq 'in' }}{{ a is string }}",
      "TrueTrueTrueTrueTrueTrueTrue",
    ],
    [
      "{{ {'in': 'found'}[a] }} {{ dict['key'] is string }} {{ 'key' in dict }} {{ {a: 1, 'in': 2} }}",
      "found True True {'⟦in⟧': 2}",
    ],
    [
      "{{ ['in', a]|unique|list }} {{ messages|selectattr('content', 'equalto', 'hi')|map(attribute='role')|join }}",
      "['in'] assistant",
    ],
    ["{{ a|length }}{{ list|length }} {{ list == ['e1', 'e2', 3, none, true] }}", "25 True"],
  ]);
});

Deno.test("strings that share the beginning do not share their marks", () => {
  for (let i = 0; i < 2; i++) {
    assertMarked([
      ["{% set m = '<'|safe %}{{ m + a }} {{ m + own + b }} {{ ('x'|safe) + own }} {{ m }}", "<⟦in⟧ <own⟦put⟧ xown <"],
      [
        "{% set u = (a ~ '-')|upper %}{% set l = u|lower %}{{ u ~ a ~ b }} {{ l ~ own }} {{ l ~ b }} {{ u ~ 1 }}",
        "⟦IN⟧-⟦input⟧ ⟦in⟧-own ⟦in⟧-⟦put⟧ ⟦IN⟧-1",
      ],
      [
        "{% set x = a ~ '.' %}{% set y = x ~ x ~ x %}{{ y ~ x }} {{ x ~ b }} {{ x|safe + a }} {{ y }}",
        "⟦in⟧.⟦in⟧.⟦in⟧.⟦in⟧. ⟦in⟧.⟦put⟧ ⟦in⟧.⟦in⟧ ⟦in⟧.⟦in⟧.⟦in⟧.",
      ],
    ]);
  }
});

Deno.test("marks are sorted and disjoint, and none touches another", () => {
  const { text, input } = new Template("{{ a }}{{ a ~ a }}{% for i in range(3) %}{{ a }}-{{ b }}{{ b }}{% endfor %}")
    .render(INPUT);
  assertEquals(text, "inininin-putputin-putputin-putput");
  assertEquals(input, [0, 8, 9, 17, 18, 26, 27, 33]);
});

/** Numbers that look random and are the same each time. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  while (true) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state;
  }
}

Deno.test("exactly the characters of a request are marked after any operations", () => {
  const operations = [
    "? ~ ?",
    "? + ?",
    "? ~ 'own' ~ ?",
    "(? ~ '-') * 2",
    "?[1:]",
    "?[:-1]",
    "?[::-1]",
    "?[::2]",
    "?|upper",
    "?|trim",
    "?|replace('o', ?)",
    "?.split('w')|join(?)",
    "'%s|%4s' % (?, ?)",
    "'{}<{}>'.format(?, ?)",
    "?|safe + ?",
    "?|e",
    "[?, ?]|string",
    "{'k': ?}|tojson",
    "?|indent(1)",
    "?|list|join",
  ];
  for (let seed = 1; seed <= 300; seed++) {
    const random = numbers(seed);
    const below = (limit: number): number => Math.floor(random.next().value / 2 ** 32 * limit);
    let template = "";
    for (let i = 0; i < 12; i++) {
      const operation = operations[below(operations.length)] ?? "?";
      template += `{% set v${below(4)} = (${operation.replaceAll("?", () => `v${below(4)}`)})[:200] %}`;
    }
    template += "{{ v0 }} {{ v1 }} {{ v2 }} {{ v3 }}";
    const { text, input } = new Template(template).render({
      v0: asInput("日本語"),
      v1: "own",
      v2: asInput("中"),
      v3: "<w>",
    });
    const expected = Array.from(
      text.matchAll(/\p{Script=Han}+/gu),
      ({ 0: found, index }) => [index, index + found.length],
    );
    assertEquals(input, expected.flat(), `seed ${seed}: ${template}`);
  }
});
