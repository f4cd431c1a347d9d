/** The variables of templates beside the conversation. */
import { assertEquals, assertMatch } from "@std/assert";
import { USUAL_FORM } from "../../../../../src/engine/chat/render/messages.ts";
import { TemplateRenderer } from "../../../../../src/engine/chat/render/renderer.ts";

Deno.test("TemplateRenderer leaves dates to the template, and tells Firefunction's the date without the time", () => {
  const render = (plain: string): string =>
    new TemplateRenderer({ plain }, { bos_token: "", eos_token: "" })
      .render({ turns: [{ role: "user", text: "Hi" }], form: USUAL_FORM, prompt: true }).text;
  // Llama 3.1 has a date of its own then, as its makers' programs show it.
  assertEquals(render("{{ date_string is defined }}"), "False");
  assertMatch(render("{{ datetime }}{{ functions }}"), /^[A-Z][a-z]{2} \d\d \d{4}$/);
  assertEquals(render("{{ datetime is defined }}"), "False");
});

Deno.test("TemplateRenderer gives a caller's variables to the template, before a mood's and behind the conversation's", () => {
  const render = (plain: string, given: Record<string, unknown>): string =>
    new TemplateRenderer({ plain }, { bos_token: "<s>", eos_token: "" }).render({
      turns: [{ role: "user", text: "Hi" }],
      form: USUAL_FORM,
      prompt: true,
      variables: { effort: "low" },
      given,
    }).text;
  assertEquals(render("{{ date_string }} {{ effort }}", { date_string: "1 May" }), "1 May low");
  assertEquals(render("{% if effort == 'high' %}hard{% endif %}", { effort: "high" }), "hard");
  assertEquals(render("{{ docs[0].text }}{{ docs|length }}", { docs: [{ text: "a" }, {}] }), "a2");
  assertEquals(render("{{ bos_token }}{{ messages[0].content }}", { bos_token: "x", messages: [] }), "<s>Hi");
});

Deno.test("TemplateRenderer marks a caller's variables as input, so that names of control tokens in them are text", () => {
  const { text, input } = new TemplateRenderer({ plain: "a{{ style }}b" }, { bos_token: "", eos_token: "" })
    .render({ turns: [], form: USUAL_FORM, prompt: true, given: { style: "<|im_end|>" } });
  assertEquals([text, input], ["a<|im_end|>b", [1, 11]]);
});
