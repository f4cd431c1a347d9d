/** Statements, and which names are seen where. What is expected was recorded from Python's jinja2, set up as transformers does it. */
import { assertFailures, assertRendered } from "./support.ts";

Deno.test("statements: rendered as by Python", () => {
  assertRendered([
    ["{% set x = 1 %}{{ x }}", "1"],
    ["{% set x, y = 1, 2 %}{{ x }}{{ y }}", "12"],
    ["{% set (x, y) = [1, 2] %}{{ x }}{{ y }}", "12"],
    ["{% set x, (y, z) = 1, (2, 3) %}{{ x }}{{ y }}{{ z }}", "123"],
    ["{% set x %}a{{ 1 }}b{% endset %}{{ x }}|{{ x is string }}", "a1b|True"],
    ["{% set x | upper %}abc{% endset %}{{ x }}", "ABC"],
    ["{% set x | upper | replace('A', 'z') %}abc{% endset %}{{ x }}", "zBC"],
    [
      "{% set ns = namespace(a=1, b='x') %}{% set ns.a = 2 %}{% set ns.c = 3 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}{{ ns.d }}|",
      "2x3|",
    ],
    ["{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}", "12"],
    ["{% set ns = namespace() %}{% for i in [1,2] %}{% set ns.x = i %}{% endfor %}{{ ns.x }}", "2"],
    ["{% set x = 1 %}{% for i in [1,2] %}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "121"],
    ["{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}", "12121"],
    ["{% if true %}{% set x = 5 %}{% endif %}{{ x }}", "5"],
    ["{% if false %}{% set x = 5 %}{% endif %}{{ x }}|", "2.5|"],
    ["{% for i in [1] %}{% if true %}{% set y = 3 %}{% endif %}{{ y }}{% endfor %}{{ y }}|", "3|"],
    ["{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set c = 3 %}{{ c }}{% endwith %}{{ a }}{{ c }}|", "123|"],
    ["{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "155"],
    ["{% filter upper %}ab{{ 'c' }}{% endfilter %}", "ABC"],
    ["{% filter replace('a', 'b') | upper %}aXa{% endfilter %}", "BXB"],
    ["{% do [].append(1) %}x", "x"],
    ["{% set l = [] %}{% do l.append(1) %}{% do l.append(2) %}{{ l }}", "[1, 2]"],
    ["{% set l = [1] %}{% set _ = l.append(2) %}{{ l }}{{ _ }}", "[1, 2]None"],
    [
      "{% if 1 %}a{% elif 2 %}b{% else %}c{% endif %}{% if 0 %}a{% elif 2 %}b{% else %}c{% endif %}{% if 0 %}a{% elif 0 %}b{% else %}c{% endif %}",
      "abc",
    ],
    ["{% if u %}a{% endif %}|", "|"],
    ["{% if not u %}a{% endif %}", "a"],
    ["{% generation %}a{{ 1 }}{% set q = 2 %}{% endgeneration %}{{ q }}", "a12"],
    [
      "{% for i in [1,2,3] %}{% generation %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endgeneration %}{% endfor %}",
      "13",
    ],
    ["{% set x = 1, %}{{ x }}", "(1,)"],
    ["{% set x = 1 if false %}{{ x }}|", "|"],
    ["{% print 'a' %}", "a"],
    ["{% set x, y = 'ab' %}{{ x }}{{ y }}", "ab"],
    ["{% set loop = 1 %}{{ loop }}", "1"],
    ["{% set x = 1 %}{% set x = x + 1 %}{{ x }}", "2"],
    ["{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x }}|", "12.5|"],
    ["{% set range = 5 %}{{ range }}", "5"],
    ["{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y }}|", "1|"],
    ["{% filter indent %}a\nb{% set q = 1 %}{% endfilter %}{{ q }}|", "a\n    b|"],
    ["{% if (1, 2) %}x{% endif %}", "x"],
    ["{% set x = true and 'a' or 'b' %}{{ x }}", "a"],
    ["{%set x=1%}{{x}}", "1"],
    ["{%-set x=1-%}{{x}}", "1"],
  ]);
});

Deno.test("statements: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{% set ns.x = 1 %}", '1: Cannot assign to "ns.x": "ns" is no namespace'],
    ["{% set d = {} %}{% set d.x = 1 %}", '1: Cannot assign to "d.x": "d" is no namespace'],
    ["{% set x, y = [1] %}", "1: not enough values to unpack (expected 2, got 1)"],
    ["{% set x, y = [1, 2, 3] %}", "1: too many values to unpack (expected 2)"],
    ["{% set x, y = 5 %}", "1: 'int' object is not iterable"],
  ]);
});

Deno.test("loops: rendered as by Python", () => {
  assertRendered([
    ["{% for x in l %}{{ x }}{{ ',' if not loop.last }}{% endfor %}", "3,1,2"],
    [
      "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
      "1032TrueFalse310;2121FalseFalse310;3210FalseTrue310;",
    ],
    ["{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "<3>1 3<1>2 1<2> "],
    ["{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"],
    ["{% for x in [1,1,2,2,1] %}{{ loop.changed(x) }} {% endfor %}", "True False True False True "],
    ["{% for x in [] %}a{% else %}empty{% endfor %}{% for x in [1] %}a{% else %}empty{% endfor %}", "emptya"],
    ["{% for x in u %}a{% else %}none{% endfor %}", "none"],
    [
      "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}",
      "b=1;a=[1, 2];c={'k': 'v'};bac",
    ],
    [
      "{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}{% for k, v in d|dictsort %}{{ k }};{% endfor %}",
      "b=1;a=[1, 2];c={'k': 'v'};a;b;c;",
    ],
    ["{% for c in emoji %}[{{ c }}]{% endfor %}", "[a][\ud83d\ude00][b]"],
    [
      "{% for x in range(10) if x is odd %}{{ x }}{{ loop.length }}{{ loop.last }} {% endfor %}",
      "15False 35False 55False 75False 95True ",
    ],
    ["{% for x in range(10) if x > 100 %}a{% else %}none{% endfor %}", "none"],
    ["{% for x in range(5) %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}", "012"],
    ["{% for x in range(5) %}{% if x == 3 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "0124"],
    ["{% for x in [1] %}{% break %}{% else %}no{% endfor %}|", "no|"],
    [
      "{% for a in [1,2] %}{% for b in [3,4] %}{{ a }}{{ b }}{{ loop.index }}{% if b == 3 %}{% continue %}{% endif %}!{% endfor %}{{ loop.index }}{% endfor %}",
      "131142!1231242!2",
    ],
    [
      "{% for x in [{'v': 1, 'c': [{'v': 2, 'c': []}, {'v': 3, 'c': [{'v': 4, 'c': []}]}]}] recursive %}{{ x.v }}@{{ loop.depth }}({{ loop(x.c) }}){% endfor %}",
      "1@1(2@2()3@2(4@3()))",
    ],
    ["{% for (a, b) in [(1, 2), (3, 4)] %}{{ a }}-{{ b }} {% endfor %}", "1-2 3-4 "],
    ["{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"],
    ["{% for x in (1, 2) %}{{ x }}{% endfor %}{% for x in 1, 2 %}{{ x }}{% endfor %}", "1212"],
    [
      "{% for x in range(3) %}{{ loop.nextitem is defined }}{{ loop.previtem is defined }} {% endfor %}",
      "TrueFalse TrueTrue FalseTrue ",
    ],
    [
      "{% for x in l %}{% set outer = loop %}{% for y in [1] %}{{ outer.index }}{{ loop.index }}{% endfor %}{% endfor %}",
      "112131",
    ],
    ["{{ loop }}|{% for x in [1] %}{{ loop.foo }}|{% endfor %}", "||"],
    ["{% for x in users|map(attribute='name') %}{{ loop.length }}{{ x }}{% endfor %}", "3Bo3al3Cy"],
    [
      "{% set l2 = [1,2] %}{% for x in l2 %}{% if x == 1 %}{{ l2.append(3) or '' }}{% endif %}{{ x }}{% endfor %}",
      "123",
    ],
    ["{% for m in msgs[::-1] %}{{ m.role }}{{ loop.index0 }}{% endfor %}", "assistant0user1system2"],
    ["{% for m in msgs if m.role != 'system' %}{{ loop.first }}{{ m.content }}{% endfor %}", "TrueUFalseNone"],
    [
      "{% set ns = namespace(n=0) %}{% for x in range(6) if ns.n < 3 %}{% set ns.n = ns.n + 1 %}{{ x }}{% endfor %}",
      "012",
    ],
    ["{% for x in [1,2] %}{{ x }}{% endfor %}{{ x }}|", "122.5|"],
    ["{% for x in [3] %}{% else %}{% set q = 1 %}{% endfor %}{{ q }}|", "|"],
    ["{% for x in [1,2,3] %}{{ loop.changed(x > 1) }}{% endfor %}", "TrueTrueFalse"],
    [
      "{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}{{ range(2, 8, 3)|list }} {{ range(0) }} {{ range(1,5) }} {{ range(0,5,2) }}",
      "321[2, 5] range(0, 0) range(1, 5) range(0, 5, 2)",
    ],
    ["{% for x in {'a': 1}.values() %}{{ x }}{% endfor %}", "1"],
    ["{% for x in 'ab' recursive %}{{ x }}{% endfor %}", "ab"],
    ["{% for x in [none, 1] %}{{ loop.previtem }}{{ x }}{{ loop.nextitem }};{% endfor %}", "None1;None1;"],
    ["{% for i in [1,2] %}{% for j in [] %}{% else %}{{ loop.index }}{% endfor %}{% endfor %}", "12"],
    [
      "{{ cycler('a','b').next() }}{% set c = cycler('x','y') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}",
      "axyyxNonex",
    ],
    ["{% set j = joiner('|') %}{{ j() }}{{ j() }}{% set k = joiner() %}{{ k() }}{{ k() }}", "|, "],
    [
      "{{ dict(a=1, b=2) }} {{ dict([('x', 1)]) }} {{ dict({'a': 1}, b=2) }} {{ dict() }}",
      "{'a': 1, 'b': 2} {'x': 1} {'a': 1, 'b': 2} {}",
    ],
    ["{% for x in [1,2] %}{% if x == 1 %}{% continue %}{% endif %}a{% else %}no{% endfor %}", "a"],
    ["{% for x in [1,2] %}{% if x == 2 %}{% break %}{% endif %}a{% else %}no{% endfor %}", "a"],
    ["{% for x in [1] %}{% continue %}{% else %}no{% endfor %}", "no"],
  ]);
});

Deno.test("loops: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{% for x in 5 %}{% endfor %}", "1: 'int' object is not iterable"],
    ["{% for x in none %}{% endfor %}", "1: 'NoneType' object is not iterable"],
    [
      "{% for x in [1] %}{{ loop([2]) }}{% endfor %}",
      "1: The loop must have the 'recursive' marker to be called recursively.",
    ],
    ["{% for a, b in [1] %}{% endfor %}", "1: 'int' object is not iterable"],
    ["{% for x in [1] %}{% set loop = 1 %}{% endfor %}", '1: Cannot assign to "loop" in a loop'],
  ]);
});

Deno.test("macros and call blocks: rendered as by Python", () => {
  assertRendered([
    ["{% macro f(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(b=5, a=4) }}{{ f() }}", "1213452"],
    ["{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}", "11"],
    ["{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, x=3) }}", "(1, 2){'x': 3}"],
    ["{% macro f(a) %}[{{ caller() }}{{ a }}]{% endmacro %}{% call f(1) %}in{% endcall %}", "[in1]"],
    ["{% macro f() %}{{ caller(1, 'x') }}{% endmacro %}{% call(a, b) f() %}{{ a }}{{ b }}{% endcall %}", "1x"],
    ["{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}", "2"],
    ["{% macro f() %}{% set y = 5 %}{{ y }}{% endmacro %}{{ f() }}{{ y }}|", "5|"],
    ["{% macro fact(n) %}{{ 1 if n < 2 else n * (fact(n - 1)|int) }}{% endmacro %}{{ fact(5) }}", "120"],
    [
      "{% macro f() %}a{% endmacro %}{{ f() ~ f() | upper }}{{ f()|length }}{{ f is callable }}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}{{ f.caller }}",
      "aA1Truef()FalseFalse",
    ],
    ["{% macro f(x) %}{{ x.a }}{% endmacro %}{{ f({'a': 1}) }}{{ f(*[{'a': 2}]) }}{{ f(**{'x': {'a': 3}}) }}", "123"],
    ["{% for i in [1,2] %}{% macro f() %}{{ i }}{{ loop.index }}{% endmacro %}{{ f() }}{% endfor %}", "1122"],
    ["{% macro f() %}{% for x in [1] %}{% break %}{% endfor %}ok{% endmacro %}{{ f() }}", "ok"],
    ["{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "B"],
    ["{% macro f(a, b) %}{{ b }}|{% endmacro %}{{ f(1) }}", "|"],
    ["{{ g }}{% macro g() %}{% endmacro %}|", "|"],
    ["{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}", "False"],
    [
      "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}",
      "iFalse",
    ],
    ["{% macro f(a) %}{{ a }}{% endmacro %}{% for x in [1,2] %}{{ f(x) }}{% endfor %}", "12"],
    ["{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "321"],
    ["{% if true %}{% macro f() %}m{% endmacro %}{% endif %}{{ f() }}", "m"],
    [
      "{% macro f(x, y='d') -%}\n  {{ x }}-{{ y }}\n{%- endmacro %}{{ f('a') }}|{{ f('a', none) }}|{{ f('a', y=false) }}",
      "a-d|a-None|a-False",
    ],
    ["{% macro f(a) %}{% set a = a + 1 %}{{ a }}{% endmacro %}{{ f(1) }}{{ f(2) }}", "23"],
    ["{% macro f(caller=none) %}{{ caller }}{% endmacro %}{{ f() }}{{ f(caller=2) }}", "None2"],
    ["{% macro f(caller=none) %}{{ caller() }}{% endmacro %}{% call f() %}x{% endcall %}", "x"],
  ]);
});

Deno.test("macros and call blocks: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{% macro f(a) %}x{% endmacro %}{{ f(1, 2) }}", "1: macro 'f' takes not more than 1 argument(s)"],
    ["{% macro f(a) %}x{% endmacro %}{{ f(b=2) }}", "1: macro 'f' takes no keyword argument 'b'"],
    ["{% macro f(a) %}{{ a is defined }}{{ a.x }}{% endmacro %}{{ f() }}", "1: parameter 'a' was not provided"],
    ["{% macro f() %}x{% endmacro %}{% call f() %}in{% endcall %}", "1: macro 'f' takes no keyword argument 'caller'"],
    ["{% macro f(caller) %}{{ caller }}{% endmacro %}{{ f(caller=1) }}", '1: The parameter "caller" needs a default'],
    ["{% macro f(a=1, b) %}{% endmacro %}", "1: A parameter without a default follows one with a default"],
    ["{{ f(1) }}{% macro f(a) %}{% endmacro %}", "1: 'bool' object is not callable"],
  ]);
});
