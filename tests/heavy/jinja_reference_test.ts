/**
 * What the templates that come with llama.cpp render, beside Python's jinja2. Needs `INFERD_LLAMA_CPP_DIR`, a folder
 * with llama.cpp's source, and a Python with jinja2; skipped without.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { asInput, type Rendered, Template, TemplateError } from "../../src/engine/jinja/template.ts";
import { DISGUISED, disguised, variablesOfAll } from "../support/jinja_conversations.ts";
import { type Answer, findPython, renderWithPython } from "../support/jinja_reference.ts";

const folder = Deno.env.get("INFERD_LLAMA_CPP_DIR") ?? "";
const python = folder === "" ? undefined : await findPython();
const NOW = new Date(2025, 6, 4, 15, 6, 7);

async function readTemplates(): Promise<{ name: string; source: string }[]> {
  const templates = [];
  const path = join(folder, "models", "templates");
  for await (const { name } of Deno.readDir(path)) {
    if (name.endsWith(".jinja")) templates.push({ name, source: await Deno.readTextFile(join(path, name)) });
  }
  return templates.sort((a, b) => a.name < b.name ? -1 : 1);
}

function render(template: Template, variables: Readonly<Record<string, unknown>>): Answer {
  try {
    return { text: template.render(variables).text };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { error: `${error.message} (line ${error.line})`, raised: error.raised };
  }
}

/** Whether both render the same text, or both refuse. */
function agree(ours: Answer, theirs: Answer): boolean {
  if ("text" in ours || "text" in theirs) return "text" in ours && "text" in theirs && ours.text === theirs.text;
  return ours.raised === theirs.raised;
}

Deno.test({
  name: "every template of llama.cpp renders every conversation as Python's jinja2 does",
  ignore: python === undefined,
  async fn(): Promise<void> {
    assert(python !== undefined);
    const templates = await readTemplates();
    const conversations = variablesOfAll();
    const variables = conversations.map((conversation) => conversation.variables);
    const reference = await renderWithPython(
      python,
      templates.map(({ source }) => ({ template: source, variables })),
      NOW,
    );
    const differences: string[] = [];
    let cells = 0;
    let refused = 0;
    templates.forEach(({ name, source }, i) => {
      const template = new Template(source, () => NOW);
      conversations.forEach((conversation, j) => {
        const theirs = reference[i]?.[j] as Answer;
        const ours = render(template, conversation.variables);
        const marked = render(template, {
          ...conversation.variables,
          messages: asInput(conversation.variables.messages),
        });
        cells++;
        if ("error" in theirs) refused++;
        if (!agree(ours, theirs)) differences.push(describe(name, conversation.name, ours, theirs));
        else if (!agree(marked, theirs)) {
          differences.push(describe(name, `${conversation.name}, marked`, marked, theirs));
        }
      });
    });
    console.log(
      `${templates.length} templates, ${cells} cells, ${refused} refused by both, ${differences.length} differ`,
    );
    assertEquals(differences, []);
  },
});

Deno.test({
  name: "every template of llama.cpp marks all that came from a request, and nothing else",
  ignore: folder === "",
  async fn(): Promise<void> {
    const wrong: string[] = [];
    let rendered = 0;
    let texts = 0;
    for (const { name, source } of await readTemplates()) {
      const template = new Template(source, () => NOW);
      for (const { name: conversation, variables } of variablesOfAll()) {
        const given = disguised(variables, asInput) as Map<string, unknown>;
        let result: Rendered;
        try {
          result = template.render(Object.fromEntries(given));
        } catch (error) {
          if (error instanceof TemplateError) continue;
          throw error;
        }
        rendered++;
        const expected = Array.from(
          result.text.matchAll(DISGUISED),
          ({ 0: found, index }) => [index, index + found.length],
        ).flat();
        texts += expected.length / 2;
        const differs = expected.findIndex((at, i) => at !== result.input[i]);
        const at = differs < 0 && expected.length < result.input.length
          ? result.input.at(-1) ?? 0
          : expected[differs] ?? -1;
        if (at >= 0) {
          wrong.push(`${name}: ${conversation}: ${JSON.stringify(result.text.slice(Math.max(0, at - 30), at + 30))}`);
        }
      }
    }
    console.log(`${rendered} renderings with ${texts} texts of requests`);
    assert(rendered > 4000 && texts > 50_000);
    assertEquals(wrong, []);
  },
});

function describe(template: string, conversation: string, ours: Answer, theirs: Answer): string {
  if ("error" in ours || "error" in theirs) {
    return `${template}: ${conversation}: ${JSON.stringify(ours).slice(0, 300)} ≠ ${
      JSON.stringify(theirs).slice(0, 300)
    }`;
  }
  let at = 0;
  while (ours.text[at] === theirs.text[at]) at++;
  const part = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 40), at + 60));
  return `${template}: ${conversation}: ${part(ours.text)} ≠ ${part(theirs.text)}`;
}
