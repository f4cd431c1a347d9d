/** White space around tags, comments and raw blocks. What is expected was recorded from Python's jinja2, set up as transformers does it. */
import { assertFailures, assertRendered } from "./support.ts";

Deno.test("white space around tags: rendered as by Python", () => {
  assertRendered([
    ["a\n{% if true %}\nb\n{% endif %}\nc", "a\nb\nc"],
    ["  {% if true %}\n  b\n  {% endif %}\nc\n", "  b\nc"],
    ["a {{- 1 -}} b", "a1b"],
    ["a\n  {{- 1 }}\n  b", "a1\n  b"],
    ["x\n   {%- if true -%}   \n y {%- endif +%}\nz", "xy\nz"],
    ["  {%+ if true %}x{% endif %}", "  x"],
    ["{# c #}\nx", "x"],
    ["  {# c #}\nx", "x"],
    ["a {#- c -#} b", "ab"],
    ["{% raw %}{{ x }}{% endraw %}", "{{ x }}"],
    ["{% raw %}\n  {{ x }}\n  {% endraw %}\ny", "\n  {{ x }}\ny"],
    ["a {%- raw -%}  {% x %} {%- endraw -%} b", "a{% x %}b"],
    ["x\n\n", "x\n"],
    ["x\n\n\n", "x\n\n"],
    ["\n", ""],
    ["{{ 'a' }}\n", "a"],
    ["\n\n{% set a = 1 %}\n\n{{ a }}\n", "\n\n\n1"],
    ["a\r\nb\rc", "a\nb\nc"],
    ["{% if true %}\r\nx{% endif %}", "x"],
    ["{{ '{{' }}", "{{"],
    ["{{ {'a': {'b': 1}} }}", "{'a': {'b': 1}}"],
    ["{{ {'a':{}}}}", "{'a': {}}"],
    ["x {%- set a = 1 %} y", "x y"],
    ["   {%- set a = 1 %}\n y", " y"],
    ["\t {% set a = 1 %}\t\n y", "\t\n y"],
    ["{% set a = 1 %} {% set b = 2 %}\n{{ a }}{{ b }}", " 12"],
    ["{{ 1 }} {% if 1 %} {{ 2 }} {% endif %} {{ 3 }}", "1  2  3"],
    ["{%- if true %}\n\nx\n{%- endif %}\n", "\nx"],
    ["  {{ 1 }}\n", "  1"],
    ["{#- a -#}\n {#+ b +#}\nc", "\nc"],
    ["{% if true -%}\n  x\n{%- else -%}y{% endif %}", "x"],
    ["a{% raw -%} b {%- endraw %}\nc", "abc"],
    ["\ufeffx", "\ufeffx"],
    ["a\u000b{%- if 1 %}b{% endif %}", "ab"],
  ]);
});

Deno.test("white space around tags: refused where Python refuses, with the line", () => {
  assertFailures([
    ["a {% raw +%} b {% endraw %}", '1: Unknown tag "raw"'],
  ]);
});
