/** Filters and tests. What is expected was recorded from Python's jinja2, set up as transformers does it. */
import { assertFailures, assertRendered } from "./support.ts";

Deno.test("filters of texts: rendered as by Python", () => {
  assertRendered([
    [
      "{{ s|upper }} {{ s|lower }} {{ s|title }} {{ s|capitalize }} {{ 'fOO bAR-baz (qux' |title }} {{ 'fOO bAR'|capitalize }} {{ '\u00df'|upper }}",
      "H\u00c9LLO W\u00d6RLD h\u00e9llo w\u00f6rld H\u00e9llo W\u00f6rld H\u00e9llo w\u00f6rld Foo Bar-Baz (Qux Foo bar SS",
    ],
    [
      "[{{ words|trim }}] [{{ 'xxaxx'|trim('x') }}] [{{ '\\u00a0a\\u2003'|trim }}] [{{ 5|trim }}] [{{ u|trim }}] [{{ none|trim }}]",
      "[the quick  brown fox] [a] [a] [5] [] [None]",
    ],
    [
      "{{ 'aXbXc'|replace('X', '-') }} {{ 'aXbXc'|replace('X', '-', 1) }} {{ 'abc'|replace('', '.') }} {{ 5|replace(5, 6) }} {{ 'a'|replace('b', 'c') }}",
      "a-b-c a-bXc .a.b.c. 6 a",
    ],
    [
      "{{ [1, 'a', none, 2.0]|join }} {{ [1, 2]|join(', ') }} {{ users|join('+', attribute='name') }} {{ 'abc'|join('-') }} {{ []|join }} {{ u|join(',') }} {{ d|join(',') }} {{ [1,2]|join(d=';') }}",
      "1aNone2.0 1, 2 Bo+al+Cy a-b-c   b,a,c 1;2",
    ],
    [
      "{{ multi|indent }}\n{{ multi|indent(2) }}\n{{ multi|indent(2, true) }}\n{{ multi|indent(2, true, true) }}\n{{ multi|indent(2, blank=true) }}\n{{ multi|indent('> ') }}\n{{ 'a\\n'|indent }}|{{ ''|indent(first=true) }}|{{ 'a\\r\\nb'|indent }}",
      "one\n    two\n\n    three\none\n  two\n\n  three\n  one\n  two\n\n  three\n  one\n  two\n  \n  three\none\n  two\n  \n  three\none\n> two\n\n> three\na\n|    |a\n    b",
    ],
    [
      "{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(11, false, '...', 0) }} {{ 'foobarbazqux'|truncate(5, end='') }} {{ 'a\ud83d\ude00b\ud83d\ude00c\ud83d\ude00d\ud83d\ude00e'|truncate(4, true, '', 0) }}",
      "foo... foo ba... foo bar baz qux foo bar... fooba a\ud83d\ude00b\ud83d\ude00",
    ],
    [
      "{{ html|escape }} {{ html|e }} {{ html|e|e }} {{ html|e|forceescape }} {{ html|safe }} {{ html|safe|e }} {{ 5|e }} {{ none|e }} {{ u|e }}|",
      "&lt;b&gt;&amp;&#34;&#39;x&lt;/b&gt; &lt;b&gt;&amp;&#34;&#39;x&lt;/b&gt; &lt;b&gt;&amp;&#34;&#39;x&lt;/b&gt; &amp;lt;b&amp;gt;&amp;amp;&amp;#34;&amp;#39;x&amp;lt;/b&amp;gt; <b>&\"'x</b> <b>&\"'x</b> 5 None |",
    ],
    [
      "{{ '<'|safe + '<' }} {{ '<' + '<'|safe }} {{ '<'|safe ~ '<' }} {{ ('<'|safe)*2 + '<' }} {{ ('<%s>'|safe) % '<' }} {{ ('{}'|safe).format('<') }} {{ ('<'|safe).join(['<', '>']) }} {{ ('<a>'|safe).replace('a', '<') }} {{ ('<a>'|safe).upper() + '<' }} {{ (('<a>'|safe)[1:]) + '<' }} {{ ['<'|safe] }}",
      "<&lt; &lt;< << <<&lt; <&lt;> &lt; &lt;<&gt; <&lt;> <A>&lt; a>&lt; [Markup('<')]",
    ],
    [
      "{{ '<'|safe|upper + '<' }} {{ '<'|safe|string + '<' }} {{ '<'|safe|trim + '<' }} {{ ['<'|safe]|join + '<' }} {{ ('a\\n<'|safe)|indent + '<' }}",
      "<&lt; <&lt; <&lt; << a\n    <&lt;",
    ],
    [
      "{{ '<b>hi <i>x</i>  &amp; y</b> <!-- c -->'|striptags }} {{ 'a<br>b'|striptags }} {{ '&lt;x&gt;'|striptags }}",
      "hi x & y ab <x>",
    ],
    [
      "[{{ 'ab'|center(6) }}] [{{ 'abc'|center(6) }}] [{{ 'ab'|center(5) }}] [{{ 'abcdef'|center(3) }}] {{ 'x'|center|length }}",
      "[  ab  ] [ abc  ] [  ab ] [abcdef] 80",
    ],
    [
      "{{ 'a b/c?&\u00fc\ud83d\ude00~.-_'|urlencode }} {{ {'a b': 'c d', 'e': 1}|urlencode }} {{ [('x', 'y/z')]|urlencode }} {{ 5|urlencode }}",
      "a%20b/c%3F%26%C3%BC%F0%9F%98%80~.-_ a+b=c+d&e=1 x=y%2Fz 5",
    ],
    ["{{ 'the quick-brown fox'|wordcount }} {{ ''|wordcount }} {{ 'h\u00e9llo 1_2'|wordcount }}", "4 0 2"],
    [
      "{{ 1|filesizeformat }} {{ 999|filesizeformat }} {{ 1000|filesizeformat }} {{ 1500000|filesizeformat }} {{ 1024|filesizeformat(true) }} {{ 123456789012|filesizeformat }} {{ 1.5|filesizeformat }}",
      "1 Byte 999 Bytes 1.0 kB 1.5 MB 1.0 KiB 123.5 GB 1 Bytes",
    ],
    [
      "{{ 5|string }} {{ none|string }} {{ l|string }} {{ d|string }} {{ t|string }} {{ 1.0|string }} {{ u|string }}|{{ s|string }}",
      "5 None [3, 1, 2] {'b': 1, 'a': [1, 2], 'c': {'k': 'v'}} True 1.0 |h\u00e9llo w\u00f6rld",
    ],
    ["{{ '%s is %d'|format('a', 5) }} {{ '%(x)s'|format(x=1) }} {{ 'plain'|format }}", "a is 5 1 plain"],
    ["{% if false %}{{ 'a'|nosuchfilter }}{% endif %}ok", "ok"],
    ["{{ none|upper }} {{ 5|upper }} {{ [1]|upper }} {{ u|upper }}|", "NONE 5 [1] |"],
    [
      "{{ 'abc'|reverse }} {{ [1,2]|reverse|list }} {{ 'a\ud83d\ude00'|reverse }} {{ (1,2)|reverse|list }} {{ range(3)|reverse|list }} {{ {'a':1,'b':2}|reverse|list }} {{ [1,2]|map('string')|reverse }}",
      "cba [2, 1] \ud83d\ude00a [2, 1] [2, 1, 0] ['b', 'a'] ['2', '1']",
    ],
  ]);
});

Deno.test("filters of texts: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ 5|indent }}", "1: indent needs a string, not 'int'"],
    ["{{ u|indent }}", "1: 'u' is undefined"],
    ["{{ 'abc'|truncate(2) }}", "1: truncate needs a length of at least 3, got 2"],
    ["{{ '%s'|format(1, x=2) }}", "1: format cannot handle positional and keyword arguments at the same time"],
    ["{{ 'a'|nosuchfilter }}", '1: No filter named "nosuchfilter"'],
    ["{% if true %}{{ 'a'|nosuchfilter }}{% endif %}", '1: No filter named "nosuchfilter"'],
    [
      "{% if true %}{% for x in [1] %}{{ 'a'|nosuchfilter }}{% endfor %}{% endif %}",
      '1: No filter named "nosuchfilter"',
    ],
    ["{{ 'b' if false else 'a'|nosuchfilter }}", '1: No filter named "nosuchfilter"'],
    ["{{ 'a'|upper(1) }}", "1: upper takes at most 0 arguments, got 1"],
    ["{{ 'a'|replace }}", '1: replace needs the argument "old"'],
    ["{{ 'a'|replace('b', x=1) }}", '1: replace has no argument "x"; it takes old, new, count'],
    [
      "{{ 'x'|default('y') }} {{ u|default('y') }} {{ u|d('y') }} {{ none|default('y') }} {{ none|default('y', true) }} {{ ''|default('y', boolean=true) }} {{ u|default }}| {{ u.x|default('z') }}",
      "1: 'u' is undefined",
    ],
    ["{{ {}.x|default('z') }} {{ {}.x.y|default('z') }}", "1: 'dict object' has no attribute 'x'"],
  ]);
});

Deno.test("filters of lists: rendered as by Python", () => {
  assertRendered([
    [
      "{{ l|length }} {{ s|count }} {{ d|length }} {{ u|length }} {{ emoji|length }} {{ ''|length }} {{ (1,2)|length }} {{ range(5)|length }} {{ d.items()|length }}",
      "3 11 3 0 3 0 2 5 3",
    ],
    [
      "{{ l|first }} {{ l|last }} {{ []|first }}| {{ []|last }}| {{ s|first }} {{ s|last }} {{ d|first }} {{ l|map('string')|first }} {{ u|first }}|",
      "3 2 | | h d b 3 |",
    ],
    [
      "{{ l|list }} {{ 'ab'|list }} {{ d|list }} {{ u|list }} {{ d.items()|list }} {{ range(3)|list }} {{ (1,2)|list }}",
      "[3, 1, 2] ['a', 'b'] ['b', 'a', 'c'] [] [('b', 1), ('a', [1, 2]), ('c', {'k': 'v'})] [0, 1, 2] [1, 2]",
    ],
    [
      "{{ l|sort }} {{ l|sort(reverse=true) }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A', 'c']|sort(case_sensitive=true) }} {{ users|sort(attribute='age')|map(attribute='name')|list }} {{ users|sort(attribute='city,age')|map(attribute='name')|list }} {{ users|sort(true, attribute='name')|map(attribute='name')|list }}",
      "[1, 2, 3] [3, 2, 1] ['A', 'b', 'c'] ['A', 'b', 'c'] ['al', 'Cy', 'Bo'] ['Cy', 'Bo', 'al'] ['Cy', 'Bo', 'al']",
    ],
    [
      "{{ d|dictsort }} {{ {'B': 1, 'a': 2}|dictsort }} {{ {'B': 1, 'a': 2}|dictsort(true) }} {{ {'x': 2, 'y': 1}|dictsort(false, 'value') }} {{ {'x': 2, 'y': 1}|dictsort(by='value', reverse=true) }} {{ {}|dictsort }}",
      "[('a', [1, 2]), ('b', 1), ('c', {'k': 'v'})] [('a', 2), ('B', 1)] [('B', 1), ('a', 2)] [('y', 1), ('x', 2)] [('x', 2), ('y', 1)] []",
    ],
    [
      "{{ [1, 2, 1, 'A', 'a']|unique|list }} {{ ['A', 'a']|unique(true)|list }} {{ users|unique(attribute='city')|map(attribute='name')|list }} {{ [1, 1.0, true]|unique|list }}",
      "[1, 2, 'A'] ['A', 'a'] ['Bo', 'al'] [1]",
    ],
    [
      "{{ l|min }} {{ l|max }} {{ ['b', 'A']|min }} {{ ['b', 'A']|max(case_sensitive=true) }} {{ []|min }}| {{ users|max(attribute='age') }} {{ [1.5, 2]|max }} {{ [1, 1.0]|max }} {{ [1.0, 1]|min }}",
      "1 3 A b | {'name': 'Bo', 'age': 3, 'city': 'oslo'} 2 1 1.0",
    ],
    [
      "{{ l|sum }} {{ []|sum }} {{ users|sum(attribute='age') }} {{ [1, 2.5]|sum }} {{ [1]|sum(start=10) }} {{ [[1], [2]]|sum(start=[]) }} {{ [0.1, 0.2]|sum }}",
      "6 0 6 3.5 11 [1, 2] 0.30000000000000004",
    ],
    [
      "{{ users|map(attribute='name')|list }} {{ users|map(attribute='zz', default='?')|list }} {{ l|map('string')|join('-') }} {{ ['a']|map('upper')|list }} {{ ['ab']|map('replace', 'a', 'x')|list }} {{ [[1, 2]]|map('join', ',')|list }} {{ [[1,2]]|map(attribute=0)|list }} {{ [{'a': {'b': 1}}]|map(attribute='a.b')|list }} {{ [{'a':[5,6]}]|map(attribute='a.1')|list }}",
      "['Bo', 'al', 'Cy'] ['?', '?', '?'] 3-1-2 ['A'] ['xb'] ['1,2'] [1] [1] [6]",
    ],
    ["{{ []|map('nosuch')|list }}", "[]"],
    [
      "{{ l|select('odd')|list }} {{ l|reject('odd')|list }} {{ [0, 1, '']|select|list }} {{ [0, 1, '']|reject|list }} {{ l|select('gt', 1)|list }} {{ l|select('in', [1])|list }} {{ l|select('==', 2)|list }} {{ [1,none]|select('none')|list }} {{ ['a', 1]|select('string')|list }}",
      "[3, 1] [2] [1] [0, ''] [3, 2] [1] [2] [None] ['a']",
    ],
    [
      "{{ users|selectattr('age', 'gt', 1)|map(attribute='name')|list }} {{ users|rejectattr('age', 'equalto', 1)|list|length }} {{ users|selectattr('name')|list|length }} {{ users|selectattr('zz')|list }} {{ users|rejectattr('zz')|list|length }} {{ msgs|selectattr('role', 'equalto', 'user')|first }} {{ msgs|selectattr('content', 'none')|list }} {{ msgs|selectattr('role', 'in', ['user'])|list }} {{ users|selectattr('zz', 'defined')|list }}",
      "['Bo', 'Cy'] 2 3 [] 3 {'role': 'user', 'content': 'U'} [{'role': 'assistant', 'content': None}] [{'role': 'user', 'content': 'U'}] []",
    ],
    ["{{ []|select('nosuch')|list }}", "[]"],
    [
      "{{ range(7)|batch(3)|list }} {{ range(7)|batch(3, 'x')|list }} {{ []|batch(3)|list }} {{ range(7)|slice(3)|list }} {{ range(7)|slice(3, 'x')|list }} {{ range(2)|slice(3)|list }}",
      "[[0, 1, 2], [3, 4, 5], [6]] [[0, 1, 2], [3, 4, 5], [6, 'x', 'x']] [] [[0, 1, 2], [3, 4], [5, 6]] [[0, 1, 2], [3, 4, 'x'], [5, 6, 'x']] [[0], [1], []]",
    ],
    [
      "{% for g in users|groupby('city') %}{{ g.grouper }}:{{ g.list|map(attribute='name')|join(',') }};{% endfor %}{% for c, us in users|groupby('city', case_sensitive=true) %}{{ c }}{{ us|length }}{% endfor %}{{ users|groupby('zz', default='q')|length }} {{ [{'a':1}]|groupby('a') }}",
      "oslo:Bo,Cy;Rome:al;Oslo1Rome1oslo11 [(1, [{'a': 1}])]",
    ],
    ["{{ -5|abs }} {{ (-5)|abs }} {{ (-2.5)|abs }} {{ true|abs }} {{ (-2.0)|abs }}", "5 5 2.5 1 2.0"],
    [
      "{{ 42.55|round }} {{ 42.55|round(1) }} {{ 42.55|round(1, 'floor') }} {{ 42.51|round(1, 'ceil') }} {{ 2.5|round }} {{ 3.5|round }} {{ -2.5|round }} {{ (-2.5)|round }} {{ 5|round }} {{ 5|round(2) }} {{ 1234.5678|round(-2) }} {{ 1250|round(-2) }} {{ 2.675|round(2) }} {{ 1e20|round }} {{ 0.5|round|int }} {{ 5|round(0,'floor') }} {{ true|round }}",
      "43.0 42.5 42.5 42.6 2.0 4.0 -2.0 -2.0 5 5 1200.0 1200 2.67 1e+20 0 5.0 1",
    ],
    [
      "{{ '5'|int }} {{ '5.7'|int }} {{ ' 7 '|int }} {{ 'x'|int }} {{ 'x'|int(9) }} {{ 5.9|int }} {{ -5.9|int }} {{ '-3'|int }} {{ none|int }} {{ true|int }} {{ 'ff'|int(base=16) }} {{ '0x1F'|int(0, 16) }} {{ '0b11'|int(base=2) }} {{ '1_000'|int }} {{ []|int }} {{ '1e3'|int }} {{ ''|int }} {{ '010'|int }} {{ '1__0'|int }}",
      "5 5 7 0 9 5 -5 -3 0 1 255 31 3 1000 0 1000 0 10 0",
    ],
    [
      "{{ '5'|float }} {{ '5.5'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 5|float }} {{ ' 1e3 '|float }} {{ 'inf'|float }} {{ '-inf'|float }} {{ 'nan'|float }} {{ none|float }} {{ true|float }} {{ '.5'|float }} {{ '5.'|float }} {{ '1_0.5'|float }} {{ ''|float(default=2) }}",
      "5.0 5.5 0.0 1.5 5.0 1000.0 inf -inf nan 0.0 1.0 0.5 5.0 10.5 2",
    ],
    ["{{ d|items|list }} {{ u|items|list }} {{ {}|items|list }}", "[('b', 1), ('a', [1, 2]), ('c', {'k': 'v'})] [] []"],
    ["{{ 'abc'|attr('upper') is callable }} {{ {'a': 1}|attr('a') }}| {{ {'a': 1}|attr('get')('a') }}", "True | 1"],
    ["{{ [3,1]|sort|first }} {{ [[2],[1]]|sort }} {{ [(2,'b'),(1,'c')]|sort }}", "1 [[1], [2]] [(1, 'c'), (2, 'b')]"],
    ["{{ [true, false]|sort }}", "[False, True]"],
    [
      "{{ {'a':1}|list }} {{ {'a':1}|first }} {{ {'b':1,'a':2}|sort }} {{ {'a':1}|map('upper')|list }}",
      "['a'] a ['a', 'b'] ['A']",
    ],
    [
      "{{ 'cab'|sort }} {{ 'cab'|unique|join }} {{ 'hello'|map('upper')|join }} {{ 'hello'|select('in','aeiou')|join }} {{ 'cab'|max }}",
      "['a', 'b', 'c'] cab HELLO eo c",
    ],
  ]);
});

Deno.test("filters of lists: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ 5|length }}", "1: object of type 'int' has no len()"],
    ["{{ none|length }}", "1: object of type 'NoneType' has no len()"],
    ["{{ [1]|map('string')|length }}", "1: object of type 'generator' has no len()"],
    ["{{ [1]|map('string')|last }}", "1: 'generator' object is not reversible"],
    ["{{ []|first.x }}", '1: No filter named "first.x"'],
    ["{{ 5|list }}", "1: 'int' object is not iterable"],
    ["{{ [1, 'a']|sort }}", "1: '<' not supported between instances of 'str' and 'int'"],
    ["{{ [none, 1]|sort }}", "1: '<' not supported between instances of 'int' and 'NoneType'"],
    ["{{ {'a': 1}|dictsort(by='z') }}", '1: You can only sort by either "key" or "value"'],
    ["{{ [1]|dictsort }}", "1: dictsort needs a dict, not 'list'"],
    ["{{ u|dictsort }}", "1: 'u' is undefined"],
    ["{{ {'a': 1, 2: 3}|dictsort }}", "1: '<' not supported between instances of 'int' and 'str'"],
    ["{{ [1, 'a']|max }}", "1: '<' not supported between instances of 'str' and 'int'"],
    ["{{ ['a']|sum }}", "1: unsupported operand type(s) for +: 'int' and 'str'"],
    ["{{ ['a']|sum(start='') }}", "1: sum() can't sum strings"],
    ["{{ [1]|map|list }}", "1: map requires a filter argument"],
    ["{{ [1]|map('nosuch')|list }}", '1: No filter named "nosuch"'],
    ["{{ [1]|map(attribute='x', foo=1)|list }}", '1: map has no argument "foo"'],
    ["{{ [1]|select('nosuch')|list }}", '1: No test named "nosuch"'],
    ["{{ 'a'|abs }}", "1: bad operand type for abs(): 'str'"],
    ["{{ 1|round(method='bad') }}", "1: method must be common, ceil or floor"],
    ["{{ 'a'|round }}", "1: round needs a number, not 'str'"],
    ["{{ u|int }}", "1: 'u' is undefined"],
    ["{{ u|float }}", "1: 'u' is undefined"],
    ["{{ 'inf'|float|int }}", "1: cannot convert float infinity to integer"],
    ["{{ [1]|items|list }}", "1: Can only get item pairs from a mapping."],
  ]);
});

Deno.test("tests: rendered as by Python", () => {
  assertRendered([
    [
      "{{ u is defined }} {{ s is defined }} {{ n is none }} {{ n is defined }} {{ s is string }} {{ i is number }} {{ x is float }} {{ i is integer }} {{ t is integer }} {{ t is boolean }} {{ t is true }} {{ f is false }} {{ 1 is true }} {{ t is number }}",
      "False True True True True True True True False True True True False True",
    ],
    [
      "{{ d is mapping }} {{ l is mapping }} {{ l is sequence }} {{ s is sequence }} {{ d is sequence }} {{ i is sequence }} {{ l is iterable }} {{ i is iterable }} {{ s is iterable }} {{ n is iterable }} {{ u is iterable }} {{ u is sequence }} {{ d.items() is sequence }} {{ range(3) is sequence }} {{ l|map('upper') is sequence }} {{ l|map('upper') is iterable }}",
      "True False True True True False True False True False True True False True False True",
    ],
    ["{{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }}", "True True True False"],
    [
      "{{ 'a' is in 'abc' }} {{ 1 is in [1] }} {{ 5 is not in [1] }} {{ 1 is eq 1 }} {{ 1 is equalto(2) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 1 is gt 2 }} {{ 1 is ge 1 }} {{ 1 is le 0 }} {{ 3 is greaterthan 2 }} {{ 3 is lessthan 2 }}",
      "True True True True False True True False True False True False",
    ],
    ["{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aBc' is lower }} {{ '1' is lower }}", "True True False False"],
    [
      "{{ none is sameas none }} {{ 1 is sameas 1 }} {{ true is sameas true }} {{ [] is sameas [] }} {{ 1 is sameas true }}",
      "True True True False False",
    ],
    [
      "{{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ 'nope' is test }}",
      "True False True False",
    ],
    ["{{ range is callable }} {{ 1 is callable }} {{ u is callable }}", "True False True"],
    ["{{ 1 is not defined }} {{ not 1 is defined }} {{ 'x' is defined and 'y' is string }}", "False False True"],
    ["{{ 'a' if u is not defined else 'b' }}", "a"],
    ["{{ '<'|e is escaped }} {{ 'x' is escaped }}", "True False"],
    ["{{ 1.0 is integer }} {{ 1.0 is float }} {{ 2 is float }} {{ 4.0 is even }}", "False True False True"],
    ["{% if false %}{{ 1 is nosuchtest }}{% endif %}ok", "ok"],
    ["{{ 1 is eq 1 and 2 is eq 2 }}", "True"],
    ["{{ 'x' is string or false }}", "True"],
    ["{{ d is defined and d.x is defined }}", "False"],
    ["{{ d.b is defined and d.zz is not defined and d['b'] is eq(1) }}", "True"],
    ["{{ none is not none }} {{ none is none }} {{ '' is none }}", "False True False"],
  ]);
});

Deno.test("tests: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ 1 is nosuchtest }}", '1: No test named "nosuchtest"'],
    ["{{ 1 if false is nosuchtest }}", '1: No test named "nosuchtest"'],
    ["{{ 1 is divisibleby }}", '1: The test "divisibleby" needs the argument "num"'],
    ["{{ 'a' is odd }}", "1: A number is required, not 'str'"],
    ["{{ u is odd }}", "1: 'u' is undefined"],
    ["{{ x is defined is true }}", "1: You cannot chain multiple tests with is"],
    ["{{ [1] is eq [1] }} {{ 1 is in (1,2) }} {{ {} is eq {} }}", '1: The test "in" takes at most 1 arguments, got 2'],
    ["{{ 5 is divisibleby 0 }}", "1: integer modulo by zero"],
  ]);
});
