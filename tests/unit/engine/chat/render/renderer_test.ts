/** The variables of templates beside the conversation. */
import { assertEquals, assertMatch } from "@std/assert";
import { USUAL_FORM } from "../../../../../src/engine/chat/render/messages.ts";
import { TemplateRenderer } from "../../../../../src/engine/chat/render/renderer.ts";

Deno.test("TemplateRenderer tells the date to templates that take it, and never the time", () => {
  const render = (plain: string): string =>
    new TemplateRenderer({ plain }, { bos_token: "", eos_token: "" })
      .render({ turns: [{ role: "user", text: "Hi" }], form: USUAL_FORM, prompt: true }).text;
  assertMatch(render("{{ date_string }}"), /^\d\d [A-Z][a-z]{2} \d{4}$/);
  assertMatch(render("{{ datetime }}{{ functions }}"), /^[A-Z][a-z]{2} \d\d \d{4}$/);
  assertEquals(render("{{ datetime is defined }}"), "False");
});
