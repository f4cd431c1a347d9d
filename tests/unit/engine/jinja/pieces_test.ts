/** A template that has much to do is rendered in pieces, between which other work is done. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Template, TemplateError } from "../../../../src/engine/jinja/template.ts";

/** Renders, and counts the pieces. */
function rendered(source: string, variables: Record<string, unknown> = {}): { text: string; pieces: number } {
  const work = new Template(source).renderInPieces(variables);
  for (let pieces = 1;; pieces++) {
    const { done, value } = work.next();
    if (done) return { text: value.text, pieces };
  }
}

Deno.test("a template is rendered in pieces where it has loops, wherever they stand", () => {
  const loop = "{% for i in range(30) %}{% for j in range(30) %}{% if j == i %}x{% endif %}{% endfor %}{% endfor %}";
  for (
    const source of [
      loop,
      `{% if true %}a${loop}{% else %}b{% endif %}`,
      `{% with a = 1 %}${loop}{{ a }}{% endwith %}`,
      `{% for k in [1, 2] %}${loop}{% else %}none{% endfor %}`,
      `{% generation %}${loop}{% endgeneration %}`,
      `{% set ns = namespace(n=0) %}{% for k in [3] %}${loop}{% break %}{% endfor %}{% for k in [] %}{% else %}${loop}{% endfor %}`,
    ]
  ) {
    const { text, pieces } = rendered(source);
    assertEquals(text, new Template(source).render({}).text, source);
    assert(text.includes("x".repeat(30)), source);
    assert(pieces >= 4, `${pieces} pieces of ${source}`);
  }
});

Deno.test("a piece of a template's work is small, however long the conversation", () => {
  const source = "{% for m in messages %}{% for n in messages %}{% endfor %}{{ m.content }}{% endfor %}";
  const of = (count: number): number =>
    rendered(source, { messages: Array.from({ length: count }, () => ({ content: "a" })) }).pieces;
  // Some 200 rounds each.
  assert(of(100) >= 40 && of(100) <= 60, `${of(100)} pieces of 10 000 rounds`);
  assert(of(200) >= 160 && of(200) <= 240, `${of(200)} pieces of 40 000 rounds`);
  assertEquals(rendered("{{ messages }}", { messages: [] }).pieces, 1);
});

Deno.test("a template that fails in a later piece is told with its line", () => {
  const source =
    "{% for i in range(2000) %}\n{% if i == 1900 %}\n{{ raise_exception('no more') }}{% endif %}{% endfor %}";
  const work = new Template(source).renderInPieces({});
  const error = assertThrows(() => {
    while (!work.next().done);
  }, TemplateError);
  assertEquals([error.line, error.message, error.raised], [3, "no more", true]);
});
