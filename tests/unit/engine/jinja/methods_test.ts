/** Python's methods of strings and collections. What is expected was recorded from Python's jinja2, set up as transformers does it. */
import { assertFailures, assertRendered } from "./support.ts";

Deno.test("methods of strings: rendered as by Python", () => {
  assertRendered([
    [
      "[{{ words.strip() }}] [{{ words.lstrip() }}] [{{ words.rstrip() }}] [{{ 'xxaxx'.strip('x') }}] [{{ 'abcab'.strip('ab') }}] [{{ 'xa'.lstrip('x') }}] [{{ 'a\\n'.rstrip('\\n') }}] [{{ 'a\ud83d\ude00\ud83d\ude00'.rstrip('\ud83d\ude00') }}] [{{ 'a'.strip(none) }}] [{{ ''.strip() }}] [{{ 'aaa'.strip('a') }}]",
      "[the quick  brown fox] [the quick  brown fox ] [  the quick  brown fox] [a] [c] [a] [a] [a] [a] [] []",
    ],
    [
      "{{ words.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a b  c d'.split(none, 2) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'abc'.split('b', maxsplit=1) }} {{ 'a--b'.split('--') }} {{ 'aXbXc'.split('X')[-1] }} {{ 'a b'.split(' ', 0) }} {{ 'a  b'.split(maxsplit=0) }} {{ '</think>x</think>y'.split('</think>')|last }} {{ 'aaa'.rsplit('aa') }}",
      "['the', 'quick', 'brown', 'fox'] ['a', 'b', '', 'c'] ['a', 'b,c'] ['a', 'b', 'c d'] ['a,b', 'c'] [' a b', 'c'] [] [''] ['a', 'c'] ['a', 'b'] c ['a b'] ['a  b'] y ['a', '']",
    ],
    [
      "{{ multi.splitlines() }} {{ 'a\\r\\nb\\rc\\x0bd\\x0ce\\x1cf\\x85g\\u2028h'.splitlines() }} {{ 'a\\nb\\n'.splitlines(true) }} {{ ''.splitlines() }} {{ '\\n'.splitlines() }}",
      "['one', 'two', '', 'three'] ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] ['a\\n', 'b\\n'] [] ['']",
    ],
    [
      "{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('=') }} {{ 'abc'.rpartition('=') }}",
      "('a', '=', 'b=c') ('a=b', '=', 'c') ('abc', '', '') ('', '', 'abc')",
    ],
    [
      "{{ 'abc'.startswith('a') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('c') }} {{ 'abc'.endswith(('b',)) }} {{ 'abc'.startswith('b', 1) }} {{ 'abc'.endswith('b', 0, 2) }} {{ 'abc'.startswith('') }} {{ 'abc'.startswith(()) }} {{ 'abc'.startswith('', 5) }} {{ 'abc'.endswith('', 3) }}",
      "True True True False True True True False False True",
    ],
    [
      "{{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abc'.find('z') }} {{ 'abc'.index('b') }} {{ 'abcabc'.count('a') }} {{ 'aaa'.count('aa') }} {{ 'abc'.count('') }} {{ '\ud83d\ude00b'.find('b') }} {{ 'abcabc'.find('a', 1) }} {{ 'abcabc'.find('c', 0, 2) }} {{ 'abcabc'.rfind('a', 0, 3) }} {{ 'abc'.find('', 9) }} {{ 'abc'.find('') }} {{ 'abcabc'.count('b', 2) }} {{ 'abc'.find('c', -1) }}",
      "2 5 -1 1 2 1 4 1 3 -1 0 -1 0 1 2",
    ],
    [
      "{{ 'a.b.c'.replace('.', '-') }} {{ 'a.b.c'.replace('.', '-', 1) }} {{ 'ab'.replace('', '.') }} {{ 'ab'.replace('', '.', 2) }} {{ 'a\ud83d\ude00'.replace('', '.') }} {{ 'aaa'.replace('a', 'b', -1) }} {{ 'aaa'.replace('a','',2) }}",
      "a-b-c a-b.c .a.b. .a.b .a.\ud83d\ude00. bbb a",
    ],
    [
      "{{ ','.join(['a', 'b']) }} {{ ''.join([]) }} {{ '-'.join('abc') }} {{ '-'.join({'a': 1, 'b': 2}) }}",
      "a,b  a-b-c a-b",
    ],
    [
      "{{ 'hello world'.title() }} {{ \"they're x1y\".title() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'aB'.upper() }} {{ 'aB'.lower() }} {{ 'aB'.swapcase() }} {{ 'Stra\u00dfe'.casefold() }} {{ '\u0391\u03a3'.lower() }}|{{ ''.capitalize() }}",
      "Hello World They'Re X1Y Hello world AB ab Ab strasse \u03b1\u03c2|",
    ],
    [
      "{{ '12'.isdigit() }} {{ '1a'.isdigit() }} {{ ''.isdigit() }} {{ '\u00b2'.isdigit() }} {{ '\u00bd'.isdigit() }} {{ '\u00bd'.isnumeric() }} {{ '\u0663'.isdecimal() }} {{ 'ab'.isalpha() }} {{ '\u00e91'.isalpha() }} {{ '\u00e91'.isalnum() }} {{ ' \\t'.isspace() }} {{ ''.isspace() }} {{ 'AB'.isupper() }} {{ 'A1'.isupper() }} {{ '1'.isupper() }} {{ 'ab'.islower() }} {{ 'Ab Cd'.istitle() }} {{ 'a1'.isidentifier() }} {{ '\u00e9'.isascii() }} {{ 'a\\n'.isprintable() }} {{ 'a'.isprintable() }}",
      "True False False True False True True True False True True False True True False True True True False False True",
    ],
    [
      "[{{ 'a'.ljust(3) }}] [{{ 'a'.rjust(3) }}] [{{ 'a'.center(4) }}] [{{ 'ab'.center(5) }}] [{{ 'a'.center(4, '*') }}] [{{ 'a'.ljust(3, '.') }}] [{{ '5'.zfill(3) }}] [{{ '-5'.zfill(4) }}] [{{ 'abc'.zfill(2) }}] [{{ '+1'.zfill(4) }}] [{{ '\ud83d\ude00'.rjust(3,'\u00e9') }}]",
      "[a  ] [  a] [ a  ] [  ab ] [*a**] [a..] [005] [-005] [abc] [+001] [\u00e9\u00e9\ud83d\ude00]",
    ],
    [
      "{{ 'foobar'.removeprefix('foo') }} {{ 'foobar'.removesuffix('bar') }} {{ 'foobar'.removeprefix('x') }} {{ 'foobar'.removesuffix('x') }} {{ 'foobar'.removesuffix('') }}",
      "bar foo foobar foobar foobar",
    ],
    [
      "{{ 'a\\tb'.expandtabs(4) }} {{ '\\ta'.expandtabs() }} {{ 'ab\\tc\\n\\td'.expandtabs(3) }}",
      "a   b         a ab c\n   d",
    ],
    ["{{ 'x'.format() }}", "x"],
  ]);
});

Deno.test("methods of strings: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ 'a'.split('') }}", "1: empty separator"],
    ["{{ 'abc'.startswith(['a']) }}", "1: An argument must be a string, not 'list'"],
    ["{{ 'abc'.startswith(1) }}", "1: An argument must be a string, not 'int'"],
    ["{{ 'abc'.index('z') }}", "1: substring not found"],
    ["{{ 'a'.replace('a') }}", '1: replace() needs the argument "new"'],
    ["{{ 'a'.replace(1, 2) }}", "1: An argument must be a string, not 'int'"],
    ["{{ ','.join([1]) }}", "1: sequence item 0: expected str instance, int found"],
    ["{{ ','.join([none]) }}", "1: sequence item 0: expected str instance, NoneType found"],
    ["{{ 'a'.ljust(3, 'ab') }}", "1: The fill character must be exactly one character long"],
    ["{{ 'a'.nosuch() }}", "1: 'str object' has no attribute 'nosuch'"],
    ["{{ 'a'.upper(1) }}", "1: upper() takes at most 0 arguments, got 1"],
    ["{{ 'abc'.strip(1) }}", "1: An argument must be a string, not 'int'"],
  ]);
});

Deno.test("methods of lists and dicts: rendered as by Python", () => {
  assertRendered([
    [
      "{% set l = [1] %}{{ l.append(2) }}{{ l.extend([3, 4]) }}{{ l.insert(0, 'a') }}{{ l }}{{ l.pop() }}{{ l.pop(0) }}{{ l }}{{ l.remove(2) }}{{ l }}{{ l.reverse() }}{{ l }}{{ l.index(3) }}{{ l.count(1) }}{{ l.copy() }}{{ l.clear() }}{{ l }}",
      "NoneNoneNone['a', 1, 2, 3, 4]4a[1, 2, 3]None[1, 3]None[3, 1]01[3, 1]None[]",
    ],
    ["{% set l = [3, 1, 2] %}{{ l.sort() }}{{ l }}{{ l.sort(reverse=true) }}{{ l }}", "None[1, 2, 3]None[3, 2, 1]"],
    [
      "{% set l=[1,2,3] %}{{ l.insert(-1, 'x') }}{{ l.insert(99, 'y') }}{{ l }}{{ l.pop(-2) }}{{ l }}",
      "NoneNone[1, 2, 'x', 3, 'y']3[1, 2, 'x', 'y']",
    ],
    [
      "{% set d = {'a': 1} %}{{ d.update({'b': 2}) }}{{ d.update(c=3) }}{{ d.update([('d', 4)]) }}{{ d }}{{ d.pop('a') }}{{ d.pop('z', 9) }}{{ d.setdefault('b', 7) }}{{ d.setdefault('n') }}{{ d.setdefault('m', 5) }}{{ d }}{{ d.copy() }}{{ d.popitem() }}{{ d.clear() }}{{ d }}",
      "NoneNoneNone{'a': 1, 'b': 2, 'c': 3, 'd': 4}192None5{'b': 2, 'c': 3, 'd': 4, 'n': None, 'm': 5}{'b': 2, 'c': 3, 'd': 4, 'n': None, 'm': 5}('m', 5)None{}",
    ],
    [
      "{{ {'a': none}.get('a', 5) }} {{ {'a': none}.pop('a', 5) }} {{ {'a': none}.setdefault('a', 5) }}",
      "None None None",
    ],
    ["{{ (1, 2, 1).count(1) }} {{ (1, 2).index(2) }}", "2 1"],
    [
      "{{ {'a': 1}.keys()|list }} {{ {'a': 1}.items()|list }} {{ {'a': 1, 'b': 2}.values()|sum }}",
      "['a'] [('a', 1)] 3",
    ],
    ["{% set a = [1] %}{% set b = a %}{% set _ = b.append(2) %}{{ a }}", "[1, 2]"],
    ["{% set d = {'b': 1, 'a': 2} %}{% set _ = d.update({'b': 3}) %}{{ d }}", "{'b': 3, 'a': 2}"],
    ["{% set d = {} %}{% set _ = d.update({'x': [1]}) %}{% set _ = d['x'].append(2) %}{{ d }}", "{'x': [1, 2]}"],
    ["{{ {'a':1}.keys() == {'a':2}.keys() }} {{ [1,2,2].count(2) }}", "True 2"],
  ]);
});

Deno.test("methods of lists and dicts: refused where Python refuses, with the line", () => {
  assertFailures([
    ["{{ [].pop() }}", "1: pop from empty list"],
    ["{{ [1].pop(5) }}", "1: pop index out of range"],
    ["{{ [1].remove(5) }}", "1: 5 is not in list"],
    ["{{ [1].index(5) }}", "1: 5 is not in list"],
    ["{{ {}.pop('x') }}", "1: There is no key 'x'"],
    ["{{ [1, 2].nosuch() }}", "1: 'list object' has no attribute 'nosuch'"],
    ["{{ {}.nosuch() }}", "1: 'dict object' has no attribute 'nosuch'"],
    ["{{ [1].append() }}", '1: append() needs the argument "item"'],
    ["{{ [1].append(1, 2) }}", "1: append() takes at most 1 arguments, got 2"],
  ]);
});
