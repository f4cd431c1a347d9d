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
