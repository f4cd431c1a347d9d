/** How values are printed, formatted and written as JSON. What is expected was recorded from Python's jinja2, set up as transformers does it. */
import { assertFailures, assertRendered } from "./support.ts";

Deno.test("JSON: rendered as by Python", () => {
  assertRendered([
    [
      "{{ d|tojson }} {{ l|tojson }} {{ s|tojson }} {{ n|tojson }} {{ t|tojson }} {{ i|tojson }} {{ x|tojson }} {{ emoji|tojson }} {{ html|tojson }}",
      '{"b": 1, "a": [1, 2], "c": {"k": "v"}} [3, 1, 2] "h\u00e9llo w\u00f6rld" null true 42 2.5 "a\ud83d\ude00b" "<b>&\\"\'x</b>"',
    ],
    [
      "{{ d|tojson(indent=2) }}\n{{ d|tojson(indent=0) }}\n{{ [[], {}]|tojson(indent=4) }} {{ d|tojson(indent='\\t') }}",
      '{\n  "b": 1,\n  "a": [\n    1,\n    2\n  ],\n  "c": {\n    "k": "v"\n  }\n}\n{\n"b": 1,\n"a": [\n1,\n2\n],\n"c": {\n"k": "v"\n}\n}\n[\n    [],\n    {}\n] {\n\t"b": 1,\n\t"a": [\n\t\t1,\n\t\t2\n\t],\n\t"c": {\n\t\t"k": "v"\n\t}\n}',
    ],
    [
      "{{ d|tojson(sort_keys=true) }} {{ d|tojson(separators=(',', ':')) }} {{ d|tojson(indent=2, separators=(', ', ' = ')) }} {{ s|tojson(ensure_ascii=true) }} {{ emoji|tojson(true) }}",
      '{"a": [1, 2], "b": 1, "c": {"k": "v"}} {"b":1,"a":[1,2],"c":{"k":"v"}} {\n  "b" = 1, \n  "a" = [\n    1, \n    2\n  ], \n  "c" = {\n    "k" = "v"\n  }\n} "h\\u00e9llo w\\u00f6rld" "a\\ud83d\\ude00b"',
    ],
    ["{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}", '{"1": 4, "null": 3, "1.5": 5}'],
    [
      "{{ 'a\\n\\t\\r\\b\\f\\x00\\x1f\\x7f\\u2028\"\\\\/'|tojson }}",
      '"a\\n\\t\\r\\b\\f\\u0000\\u001f\u007f\u2028\\"\\\\/"',
    ],
    [
      "{{ 1.0|tojson }} {{ 1e100|tojson }} {{ 'nan'|float|tojson }} {{ 'inf'|float|tojson }} {{ '-inf'|float|tojson }} {{ (1, 2)|tojson }} {{ 0.1|tojson }} {{ 1e-7|tojson }} {{ 1e16|tojson }}",
      "1.0 1e+100 NaN Infinity -Infinity [1, 2] 0.1 1e-07 1e+16",
    ],
    ["{{ '<b>'|e|tojson }}", '"&lt;b&gt;"'],
    ["{{ {'10': 1, '9': 2, 'a': 3}|tojson }}", '{"10": 1, "9": 2, "a": 3}'],
    ["{{ [none, true, [], {}, '']|tojson }}", '[null, true, [], {}, ""]'],
  ]);
});

Deno.test("JSON: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ u|tojson }}", "1: Object of type Undefined is not JSON serializable"],
    ["{{ range(3)|tojson }}", "1: Object of type range is not JSON serializable"],
    ["{{ [1]|map('string')|tojson }}", "1: Object of type generator is not JSON serializable"],
    ["{{ {(1,2): 3}|tojson }}", "1: keys must be str, int, float, bool or None, not tuple"],
    ["{{ {'a': u}|tojson }}", "1: Object of type Undefined is not JSON serializable"],
    ["{{ {'b': 1, 2: 3}|tojson(sort_keys=true) }}", "1: '<' not supported between instances of 'int' and 'str'"],
  ]);
});

Deno.test("printed values: rendered as by Python", () => {
  assertRendered([
    [
      "{{ {'lang': ['en', 'nb'], 'n': none, 't': true, 'f': 1.0} }}",
      "{'lang': ['en', 'nb'], 'n': None, 't': True, 'f': 1.0}",
    ],
    [
      "{{ [\"it's\", 'say \"x\"', 'both \\' \"', '\\\\', 'tab\\t', 'nl\\n', '\\x00\\x7f', '\u00e9', '\ud83d\ude00', '\\u2028', '\\u00a0', '\\u200b', '\\ue000', '\\r'] }}",
      "[\"it's\", 'say \"x\"', 'both \\' \"', '\\\\', 'tab\\t', 'nl\\n', '\\x00\\x7f', '\u00e9', '\ud83d\ude00', '\\u2028', '\\xa0', '\\u200b', '\\ue000', '\\r']",
    ],
    ["{{ (1, 'a') }} {{ ('x',) }} {{ [()] }} {{ {'a': {'b': (1,)}} }}", "(1, 'a') ('x',) [()] {'a': {'b': (1,)}}"],
    ["{{ [1.0, 1e20, 1e-7, 123456.789, 1e16, 100000.0] }}", "[1.0, 1e+20, 1e-07, 123456.789, 1e+16, 100000.0]"],
    ["{{ [none, true, false] }} {{ none }} {{ true }} {{ u }}|{{ [u] }}", "[None, True, False] None True |[Undefined]"],
    [
      "{{ d }} {{ d.items() }} {{ l|string }}",
      "{'b': 1, 'a': [1, 2], 'c': {'k': 'v'}} dict_items([('b', 1), ('a', [1, 2]), ('c', {'k': 'v'})]) [3, 1, 2]",
    ],
    ["{{ range(3) }} {{ range(1, 9, 2) }}", "range(0, 3) range(1, 9, 2)"],
    ["{{ {1: 'a'} }} {{ {1.5: 'a', none: 'b'} }}", "{1: 'a'} {1.5: 'a', None: 'b'}"],
    ["{{ [[1, [2]], {'k': [{}]}] }}", "[[1, [2]], {'k': [{}]}]"],
    ["{{ ['a' ~ 1, 'b'|upper] }}", "['a1', 'B']"],
    ["{{ 'x'|list }} {{ dict(a='b') }}", "['x'] {'a': 'b'}"],
    [
      "{{ 3.14159265358979 }} {{ 1/3 }} {{ 2/3 }} {{ 100/3 }} {{ 1e21 }} {{ 5e-324 }} {{ 1.7976931348623157e308 }} {{ 12345678.9 }}",
      "3.14159265358979 0.3333333333333333 0.6666666666666666 33.333333333333336 1e+21 5e-324 1.7976931348623157e+308 12345678.9",
    ],
    ["{{ [1]|e }} {{ ['<']|e }}", "[1] [&#39;&lt;&#39;]"],
    ["{{ ['\\U000e0001', '\\u0378', '\\ufffe', 'a\\u0301'] }}", "['\\U000e0001', '\\u0378', '\\ufffe', 'a\u0301']"],
  ]);
});

Deno.test("formats: rendered as by Python", () => {
  assertRendered([
    [
      "{{ '{} {}'.format(1, 'a') }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=5) }} {{ '{{}}'.format() }} {{ '{0[k]} {0[1]}'.format({'k': 'v', 1: 'w'}) }} {{ '{a.b}'.format(a={'b': 1}) }} {{ '{!r} {!s}'.format('x', 'y') }} {{ '{:>5}|{:<5}|{:^5}|{:*^7}|'.format('a', 'b', 'c', 'd') }}",
      "1 a aba 5 {} v w 1 'x' y     a|b    |  c  |***d***|",
    ],
    [
      "{{ '{:5d}|{:05d}|{:+d}|{: d}|{:,}|{:_}|{:x}|{:X}|{:#x}|{:b}|{:o}|{:#b}|{:c}'.format(42, 42, 42, 42, 1234567, 1234567, 255, 255, 255, 5, 8, 5, 65) }}",
      "   42|00042|+42| 42|1,234,567|1_234_567|ff|FF|0xff|101|10|0b101|A",
    ],
    [
      "{{ '{:.2f}|{:8.3f}|{:e}|{:.1e}|{:g}|{:g}|{:.3g}|{:%}|{:.1%}|{}|{:.0f}|{:.0f}|{:+.1f}|{:010.2f}'.format(3.14159, 2.5, 12345.678, 0.00012, 0.00001, 123456789.0, 1234.5, 0.5, 0.256, 1.0, 2.5, 3.5, 1.25, -3.14159) }}",
      "3.14|   2.500|1.234568e+04|1.2e-04|1e-05|1.23457e+08|1.23e+03|50.000000%|25.6%|1.0|2|4|+1.2|-000003.14",
    ],
    [
      "{{ '{:.3}|{:10.2}|{:.0}'.format('abcdef', 'abcdef', 'abc') }}|{{ '{:d}'.format(true) }}|{{ '{}'.format(true) }}|{{ '{}'.format(none) }}|{{ '{:5}|'.format(42) }}{{ '{:<5}|'.format(42) }}{{ '{:=+5}|'.format(42) }}{{ '{:5}|'.format('a') }}{{ '{:05}'.format('a') }}",
      "abc|ab        ||1|True|None|   42|42   |+  42|a    |a0000",
    ],
    ["{{ '{:{}}|{:{w}}|'.format('a', 5, 'b', w=3) }}{{ '{:>{w}}'.format('z', w=4) }}", "a    |b  |   z"],
    [
      "{{ '{}'.format([1, 'a']) }} {{ '{}'.format({'a': none}) }} {{ '{0!r:>6}'.format('a') }}",
      "[1, 'a'] {'a': None}    'a'",
    ],
    [
      "{{ '{:.3}|{:.10}|{:.2}|{:.1}'.format(3.0, 1234.5678, 1234.5, 0.05) }} {{ '{:,.2f}|{:_x}|{:,d}'.format(1234567.891, 65535, -1234) }}",
      "3.0|1234.5678|1.2e+03|0.05 1,234,567.89|ffff|-1,234",
    ],
    [
      "{{ '{:n}'.format(5) }} {{ '{:s}'.format('a') }} {{ '{:f}'.format(1) }} {{ '{:e}'.format(0) }} {{ '{:g}'.format(0.0) }} {{ '{:g}'.format(100000.0) }} {{ '{:g}'.format(1000000.0) }}",
      "5 a 1.000000 0.000000e+00 0 100000 1e+06",
    ],
    [
      "{{ '%s %d %i %.2f %5s|%-5s|%05d %x %X %o %e %g %c %r %% %+d % d'|format('a', 5, 6.7, 3.14159, 'b', 'c', 42, 255, 255, 8, 12345.678, 0.0001, 'z', 'q', 5, 5) }}",
      "a 5 6 3.14     b|c    |00042 ff FF 10 1.234568e+04 0.0001 z 'q' % +5  5",
    ],
    [
      "{{ '%s' % 'a' }} {{ '%s %s' % ('a', 1) }} {{ '%s' % [1, 2] }} {{ '%(a)s %(b)d' % {'a': 'x', 'b': 2} }} {{ '%s' % none }} {{ '%d%%' % 50 }} {{ '%s' % {'a': 1} }} {{ '%s' % (('t',),) }} {{ 'x' % () }} {{ 'x' % {} }} {{ 'x' % [] }} {{ '%.3s|%5.1s|' % ('abcdef', 'xyz') }} {{ '%*d|%.*f' % (5, 42, 2, 3.14159) }} {{ '%#x %#o' % (255, 8) }} {{ '%5.1f|%-8.2e|' % (3.14159, 12345.678) }} {{ '%c' % 65 }} {{ '%s' % u }}|{{ '%.5d' % 42 }} {{ '%g %g %G' % (1e10, 1e-10, 1e-10) }}",
      "a a 1 [1, 2] x 2 None 50% {'a': 1} ('t',) x x x abc|    x|    42|3.14 0xff 0o10   3.1|1.23e+04| A |00042 1e+10 1e-10 1E-10",
    ],
    ["{{ '{0.__class__}'.format('a') }}|", "|"],
    ["{{ '{a[b][0]}'.format(a={'b': [7]}) }}", "7"],
    [
      "{{ '{a}{b}'.format(**{'a': 1, 'b': 2}) }} {{ '{}{}'.format(*[1, 2]) }} {{ '{a}'.format_map({'a': 3}) }}",
      "12 12 3",
    ],
    ["{{ '{:>3}{:<3}{:^3}'.format('\ud83d\ude00', '\u00e9', 'x') }}|", "  \ud83d\ude00\u00e9   x |"],
    [
      "{{ '{:,}'.format(1234.5) }} {{ '{:012,.1f}'.format(1234.5) }} {{ '{:#o} {:#X}'.format(8, 255) }} {{ '{:06x}'.format(255) }} {{ '{:#06x}'.format(255) }} {{ '{:-d}'.format(-5) }}",
      "1,234.5 00,001,234.5 0o10 0XFF 0000ff 0x00ff -5",
    ],
    [
      "{{ '{:04,}|{:05,}|{:06,}|{:012,.1f}|{:012_x}|{:+08,}'.format(1, 1, 1, 1234.5, 65535, -1234) }} {{ '{:g}|{:g}|{:G}|{:.0e}|{:#g}|{:#.3g}|{:.10g}'.format(1.23456e10, 1.5e10, 1.23456e-10, 15000.0, 1.5, 2.0, 1/3) }} {{ '{:.0f}|{:.1f}|{:.2f}|{:.3f}|{:.1f}'.format(0.5, 0.25, 1.005, 1234.5675, 0.05) }}",
      "0,001|0,001|00,001|00,001,234.5|00_0000_ffff|-001,234 1.23456e+10|1.5e+10|1.23456E-10|2e+04|1.50000|2.00|0.3333333333 0|0.2|1.00|1234.568|0.1",
    ],
    ["{{ '{:0=5}|{:x=5}|{:<05}|{:>05}'.format(-1, -1, 5, 5) }}", "-0001|-xxx1|50000|00005"],
    ["{{ '{:^7.2f}|{:*>9,}|{:<3}|'.format(3.14159, 12345, 12345) }}", " 3.14  |***12,345|12345|"],
    ["{{ '%+.2e|% d|%+d|%-6d|%06.2f|%x' % (1234.5, 5, 5, 5, 3.14159, -255) }}", "+1.23e+03| 5|+5|5     |003.14|-ff"],
  ]);
});

Deno.test("formats: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ '{}'.format() }}", "1: Replacement index out of range"],
    ["{{ '{x}'.format() }}", "1: There is no argument 'x'"],
    ["{{ '{'.format(1) }}", "1: expected '}' before end of string"],
    ["{{ '}'.format(1) }}", "1: Single '}' encountered in format string"],
    ["{{ '{:d}'.format('a') }}", "1: Unknown format code 'd' for object of type 'str'"],
    ["{{ '{:d}'.format(1.5) }}", "1: Unknown format code 'd' for object of type 'float'"],
    ["{{ '{:.2d}'.format(1) }}", "1: Precision not allowed in integer format specifier"],
    ["{{ '{:5}'.format([]) }}", "1: unsupported format string passed to list.__format__"],
    ["{{ '{:5}'.format(none) }}", "1: unsupported format string passed to NoneType.__format__"],
    ["{{ '{!x}'.format(1) }}", "1: Unknown conversion specifier 'x'"],
    ["{{ '{:zz}'.format(1) }}", "1: Invalid format specifier 'zz'"],
    ["{{ '%s %s' % 'a' }}", "1: not enough arguments for format string"],
    ["{{ '%s' % ('a', 'b') }}", "1: not all arguments converted during string formatting"],
    ["{{ '%d' % 'a' }}", "1: %d format: a number is required, not str"],
    ["{{ '%(x)s' % 5 }}", "1: format requires a mapping"],
    ["{{ '%(x)s' % {} }}", "1: There is no value for %(x)"],
    ["{{ '%z' % 1 }}", "1: unsupported format character 'z'"],
    ["{{ '%' % 1 }}", "1: incomplete format"],
    ["{{ '%d' % none }}", "1: %d format: a number is required, not NoneType"],
    ["{{ 'x' % 1 }}", "1: not all arguments converted during string formatting"],
    ["{{ '%x' % 1.5 }}", "1: %x format: an integer is required, not float"],
    ["{{ '{} {0}'.format(1) }}", "1: A format string numbers all of its fields or none"],
  ]);
});

Deno.test("dates: rendered as by Python", () => {
  assertRendered([
    [
      "{{ strftime_now('%Y-%m-%d %H:%M:%S %A %a %B %b %d %j %U %W %V %G %u %w %y %p %I %% %e %D %F %T %R %h %C %x %X %c') }}",
      "2025-07-04 15:06:07 Friday Fri July Jul 04 185 26 26 27 2025 5 5 25 PM 03 %  4 07/04/25 2025-07-04 15:06:07 15:06 Jul 20 07/04/25 15:06:07 Fri Jul  4 15:06:07 2025",
    ],
    ["{{ strftime_now('%-d %-m %-H %-I %-M %-S %-j') }}", "4 7 15 3 6 7 185"],
    ["{{ strftime_now('plain') }}", "plain"],
    ["{{ strftime_now('%f') }}", "000000"],
    ["{{ strftime_now('%d %B %Y')|upper }}", "04 JULY 2025"],
    ["{{ strftime_now('%z|%Z') }}", "|"],
    ["{{ strftime_now('%^a %_d') }}", "FRI  4"],
  ]);
});
