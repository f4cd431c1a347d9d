/** Literals, operators, comparisons, attributes and subscripts. What is expected was recorded from Python's jinja2, set up as transformers does it. */
import { assertFailures, assertRendered } from "./support.ts";

Deno.test("literals: rendered as by Python", () => {
  assertRendered([
    ["{{ 1 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 00 }}", "1 1000 31 5 15 0"],
    ["{{ 1.5 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 2.0 }} {{ 1_0.2_5 }} {{ 1E+2 }}", "1.5 1000.0 1.5e-07 2.0 10.25 100.0"],
    ["{{ 'a' 'b' \"c\" }}", "abc"],
    ["{{ 'a\\nb\\t\\'\\\"\\\\\\x41\\u00e9\\U0001F600\\101' }}", "a\nb\t'\"\\A\u00e9\ud83d\ude00A"],
    ["{{ '\\q\\d' }}", "\\q\\d"],
    ["{{ true }} {{ True }} {{ false }} {{ False }} {{ none }} {{ None }}", "True True False False None None"],
    ["{{ [1, 'a', [2], (3,), {'k': none}] }}", "[1, 'a', [2], (3,), {'k': None}]"],
    ["{{ () }} {{ (1,) }} {{ 1, 2 }} {{ (1, 2) }} {{ [] }} {{ {} }}", "() (1,) (1, 2) (1, 2) [] {}"],
    ["{{ {'a': 1, 2: 'b', none: 3, true: 4} }}", "{'a': 1, 2: 'b', None: 3, True: 4}"],
    ["{{ [1, 2,] }} {{ {'a': 1,} }}", "[1, 2] {'a': 1}"],
    ["{{ {'a': 1, 'a': 2} }} {{ {1: 'a', 1.0: 'b', true: 'c'} }}", "{'a': 2} {1: 'c'}"],
    ["{{ 'it''s' }}", "its"],
    ["{{ '\\\n' }}", ""],
    [
      "{{ 1e22 }} {{ 1e16 }} {{ 1e15 }} {{ 123456789012345.0 }} {{ 1e-5 }} {{ 0.0001 }} {{ 0.1 + 0.2 }}",
      "1e+22 1e+16 1000000000000000.0 123456789012345.0 1e-05 0.0001 0.30000000000000004",
    ],
    ["{{ 1.0e100 }} {{ -1e300 * 1e10 }}", "1e+100 -inf"],
    ["{{ -0.0 }} {{ 0.0 }} {{ -0 }}", "-0.0 0.0 0"],
    ["{{ \u00e9 }}|{{ _x1 }}", "|"],
  ]);
});

Deno.test("arithmetic: rendered as by Python", () => {
  assertRendered([
    ["{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 7 - 10 }}", "7 9 -3"],
    [
      "{{ 7 / 2 }} {{ 6 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7.0 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ -7.5 % 2 }}",
      "3.5 3.0 3 -4 3.0 1 2 -2 0.5",
    ],
    [
      "{{ 2 ** 3 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2.0 ** 2 }}",
      "8 0.5 1.4142135623730951 64 4 4.0",
    ],
    ["{{ 1 + 1.0 }} {{ 2 * 1.5 }} {{ true + 1 }} {{ 3 * true }}", "2.0 3.0 2 3"],
    ["{{ 'a' + 'b' }} {{ 'a' * 3 }} {{ 3 * 'ab' }} {{ 'a' * 0 }} {{ 'a' * -1 }}", "ab aaa ababab  "],
    ["{{ [1] + [2] }} {{ [0] * 2 }} {{ (1,) + (2,) }} {{ (1,) * 2 }}", "[1, 2] [0, 0] (1, 2) (1, 1)"],
    ["{{ 'a' ~ 1 ~ none ~ 2.0 ~ [1] ~ u }}", "a1None2.0[1]"],
    ["{{ -3 }} {{ +3 }} {{ - 3 }} {{ -(3) }} {{ --3 }} {{ -true }} {{ -2.5 }}", "-3 3 -3 -3 3 -1 -2.5"],
    ["{{ -1|abs }} {{ (-1)|abs }}", "1 1"],
    ["{{ 10 - 2 - 3 }} {{ 2 * 3 % 4 }}", "5 2"],
    ["{{ 9007199254740991 + 0 }}", "9007199254740991"],
    ["{{ 1e308 * 10 }} {{ -1e308 * 10 }}", "inf -inf"],
    ["{{ 5 // 2.0 }} {{ 5.5 // 2 }} {{ 1 - 1.0 }}", "2.0 2.0 0.0"],
    ["{{ 3 - -2 }}", "5"],
  ]);
});

Deno.test("arithmetic: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ 1 ~ 2 + 3 }}", '1: can only concatenate str (not "int") to str'],
    ["{{ 1 + 2 ~ 3 }}", "1: unsupported operand type(s) for +: 'int' and 'str'"],
    ["{{ 1 + 'a' }}", "1: unsupported operand type(s) for +: 'int' and 'str'"],
    ["{{ 'a' + 1 }}", '1: can only concatenate str (not "int") to str'],
    ["{{ none + 1 }}", "1: unsupported operand type(s) for +: 'NoneType' and 'int'"],
    ["{{ [1] + 'a' }}", "1: unsupported operand type(s) for +: 'list' and 'str'"],
    ["{{ 1 / 0 }}", "1: division by zero"],
    ["{{ 1 // 0 }}", "1: integer division or modulo by zero"],
    ["{{ 1 % 0 }}", "1: integer modulo by zero"],
    ["{{ {} + {} }}", "1: unsupported operand type(s) for +: 'dict' and 'dict'"],
    ["{{ 'a' - 'b' }}", "1: unsupported operand type(s) for -: 'str' and 'str'"],
    ["{{ -'a' }}", "1: bad operand type for unary -: 'str'"],
    ["{{ 'a' * 1.5 }}", "1: unsupported operand type(s) for *: 'str' and 'float'"],
  ]);
});

Deno.test("comparisons and conditions: rendered as by Python", () => {
  assertRendered([
    [
      "{{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' == 'a' }} {{ 'a' != 'b' }} {{ none == none }} {{ none == false }} {{ 0 == '' }}",
      "True True True True True False False",
    ],
    [
      "{{ 1 < 2 }} {{ 2 <= 2 }} {{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ [1, 2] < [1, 3] }} {{ (1,) < (1, 0) }}",
      "True True True True True True",
    ],
    ["{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 > 1 }} {{ 1 == 1 == 1 }}", "True False True True"],
    [
      "{{ [1, [2]] == [1, [2]] }} {{ {'a': 1} == {'a': 1.0} }} {{ [1] == (1,) }} {{ {} == [] }}",
      "True True False False",
    ],
    ["{{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }}", "True"],
    [
      "{{ 1 in [1, 2] }} {{ 'a' in 'abc' }} {{ 'z' not in 'abc' }} {{ 'a' in {'a': 1} }} {{ 1 in {'a': 1} }} {{ 3 not in (1, 2) }}",
      "True True True True False True",
    ],
    ["{{ u in [1] }} {{ 1 in u }} {{ u == u2 }} {{ u == none }} {{ u != 1 }}", "False False True False True"],
    [
      "{{ '' in '' }} {{ 'a' in [] }} {{ none in [none] }} {{ [1] in [[1]] }} {{ 1 in range(3) }} {{ 'k' in {'k': 1}.keys() }} {{ 1 in {'k': 1}.values() }}",
      "True False True True True True True",
    ],
    [
      "{{ not true }} {{ not '' }} {{ not [] }} {{ not 0 }} {{ not none }} {{ not u }} {{ not {} }} {{ not () }} {{ not 0.0 }}",
      "False True True True True True True True True",
    ],
    [
      "{{ 1 and 2 }} {{ 0 and 2 }} {{ '' or 'x' }} {{ 1 or 2 }} {{ none or false }} {{ not 1 == 2 }} {{ not 1 in [2] }}",
      "2 0 x 1 False True True",
    ],
    ["{{ 1 if true else 2 }} {{ 1 if false else 2 }} {{ 'x' if false }}|", "1 2 |"],
    ["{{ 1 if true else 2 if false else 3 }} {{ 1 if false else 2 if false else 3 }}", "1 3"],
    ["{{ true and not false or false }}", "True"],
    ["{{ 1 == 2 or 3 > 2 and 'a' in 'ab' }}", "True"],
    ["{{ '\u00e9' > 'z' }} {{ '\\uffff' < '\ud83d\ude00' }}", "True True"],
    ["{{ 'a' 'b' == 'ab' }}", "True"],
    ["{{ not u is defined }} {{ u is not defined }}", "True True"],
    ["{{ range(3) == range(0,3) }}", "True"],
    ["{{ [] or u or 'z' }}", "z"],
  ]);
});

Deno.test("comparisons and conditions: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ 1 < 'a' }}", "1: '<' not supported between instances of 'int' and 'str'"],
    ["{{ none < 1 }}", "1: '<' not supported between instances of 'NoneType' and 'int'"],
    ["{{ {} < {} }}", "1: '<' not supported between instances of 'dict' and 'dict'"],
    ["{{ u < 1 }}", "1: 'u' is undefined"],
    ["{{ 1 in 5 }}", "1: argument of type 'int' is not iterable"],
    ["{{ 1 in none }}", "1: argument of type 'NoneType' is not iterable"],
    ["{{ 1 in 'abc' }}", "1: 'in <string>' requires string as left operand, not int"],
    ["{{ u in 'abc' }}", "1: 'in <string>' requires string as left operand, not Undefined"],
    ["{{ none in 'abc' }}", "1: 'in <string>' requires string as left operand, not NoneType"],
    [
      "{{ ('x' if false).y }}",
      "1: the inline if-expression on line 1 evaluated to false and no else section was defined.",
    ],
  ]);
});

Deno.test("attributes, subscripts and slices: rendered as by Python", () => {
  assertRendered([
    [
      "{{ d.b }} {{ d['b'] }} {{ d.c.k }} {{ d['c']['k'] }} {{ d.zz }}| {{ l[0] }} {{ l[-1] }} {{ l[9] }}| {{ l.0 }}",
      "1 1 v v | 3 2 | 3",
    ],
    [
      "{{ s[0] }} {{ s[-1] }} {{ s[1] }} {{ emoji[1] }} {{ emoji[2] }} {{ emoji|length }} {{ s[99] }}|",
      "h d \u00e9 \ud83d\ude00 b 3 |",
    ],
    [
      "{{ l[1:] }} {{ l[:1] }} {{ l[::-1] }} {{ l[::2] }} {{ l[-2:] }} {{ l[5:] }} {{ l[:-1] }} {{ l[1:2:1] }} {{ l[:] }} {{ l[none:2] }}",
      "[1, 2] [3] [2, 1, 3] [3, 2] [1, 2] [] [3, 1] [1] [3, 1, 2] [3, 1]",
    ],
    [
      "{{ emoji[1:] }} {{ emoji[:2] }} {{ emoji[::-1] }} {{ emoji[-1:] }} {{ s[1:5:2] }} {{ s[5:1:-1] }} {{ s[::-2] }} {{ s[3:1] }}|",
      "\ud83d\ude00b a\ud83d\ude00 b\ud83d\ude00a b \u00e9l  oll drwolh |",
    ],
    [
      "{{ (1,2,3)[1:] }} {{ range(10)[2:5]|list }} {{ range(10)[3] }} {{ range(10)[::-3]|list }}",
      "(2, 3) [2, 3, 4] 3 [9, 6, 3, 0]",
    ],
    [
      "{{ d.items() }} {{ d.keys() }} {{ d.values() }}",
      "dict_items([('b', 1), ('a', [1, 2]), ('c', {'k': 'v'})]) dict_keys(['b', 'a', 'c']) dict_values([1, [1, 2], {'k': 'v'}])",
    ],
    [
      "{{ {'items': 1}.items is callable }} {{ {'items': 1}['items'] }} {{ {'x': 1}['items'] is callable }}",
      "True 1 True",
    ],
    ["{{ d.get('b') }} {{ d.get('z') }} {{ d.get('z', 5) }} {{ d.get('z', none) }}", "1 None 5 None"],
    ["{{ n.x }}|{{ n['x'] }}|", "||"],
    ["{{ i.x }}|{{ s.foo }}|{{ l.foo }}|", "|||"],
    ["{{ l['a'] }}|{{ d[1] }}|{{ s['upper']() }}", "||H\u00c9LLO W\u00d6RLD"],
    ["{{ d['a'][1] }} {{ d.a.1 }} {{ d.a[-1] }}", "2 2 2"],
    ["{{ {(1,2): 'x'}[(1,2)] }} {{ {(1,2): 'x'}[1,2] }}", "x x"],
    ["{{ ''.__class__ }}|{{ [].__len__ }}|", "||"],
    [
      "{{ {'a':1}.__proto__ }}|{{ {}.constructor }}|{{ {}['__proto__'] }}|{{ [].length }}|{{ 'x'.length }}|{{ {}.toString }}|{{ {}.hasOwnProperty }}|",
      "|||||||",
    ],
    ["{{ constructor }}|{{ __proto__ }}|{{ toString }}|{{ Object }}|", "||||"],
    ["{{ l[true] }} {{ l[false] }} {{ l[1.0] }}|", "1 3 |"],
    ["{{ s[1:2] ~ s[::1] }}", "\u00e9h\u00e9llo w\u00f6rld"],
    ["{{ [1,2,3][0:0] }} {{ 'abc'[10:] }}|", "[] |"],
    ["{{ [[]] }}", "[[]]"],
    ["{{ {}[[1]] }}", ""],
    ["{{ range(3).x }}|{{ {'a':1}.items().x }}|{{ {'a':1}.items()[0] }}|", "|||"],
    ["{% set d = {} %}{{ d[[1]] }}|", "|"],
    ["{{ {}|attr('x') }}|", "|"],
  ]);
});

Deno.test("attributes, subscripts and slices: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ u.x }}", "1: 'u' is undefined"],
    ["{{ d.x.y }}", "1: 'dict object' has no attribute 'x'"],
    ["{{ d.zz.y }}", "1: 'dict object' has no attribute 'zz'"],
    ["{{ n.x.y }}", "1: 'None' has no attribute 'x'"],
    ["{{ s.foo.bar }}", "1: 'str object' has no attribute 'foo'"],
    ["{{ u[0] }}", "1: 'u' is undefined"],
    ["{{ u() }}", "1: 'u' is undefined"],
    ["{{ d() }}", "1: 'dict' object is not callable"],
    ["{{ s.foo() }}", "1: 'str object' has no attribute 'foo'"],
    ["{{ n[0] }}|{{ n[1:] }}|{{ i[0] }}|", "1: 'NoneType' object has no slices"],
    ["{{ u[1:] }}", "1: 'u' is undefined"],
    ["{{ d.__class__ }}|{{ s.__class__.__mro__ }}", "1: 'str object' has no attribute '__class__'"],
    ["{{ [1,2][::0] }}", "1: slice step cannot be zero"],
    ["{{ {[1]: 2} }}", "1: unhashable type: 'list'"],
    ["{% set d = {} %}{{ d[1:] }}", "1: 'dict' object has no slices"],
    ["{% set n = 5 %}{{ n[1:] }}", "1: 'int' object has no slices"],
  ]);
});
