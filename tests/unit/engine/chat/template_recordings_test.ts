/** Answers as the families' chat templates have them, which is how the models were trained to write. */
import { assert, assertEquals } from "@std/assert";
import { asSeen } from "../../../support/chat_model.ts";
import { assertParsed, parse, type ParserEvent } from "../../../support/parsing.ts";
import { FROM_TEMPLATES, READINGS } from "../../../support/template_recordings.ts";

const { turns, templates } = FROM_TEMPLATES;
const encoder = new TextEncoder();

/** Where it is not what was said that comes of a text. */
interface Exception {
  readonly template: RegExp;
  readonly turn: RegExp;
  readonly why: string;
  readonly means: (said: readonly ParserEvent[], text: string) => readonly ParserEvent[];
}

const EXCEPTIONS: readonly Exception[] = [
  {
    template: /^google-gemma-4/,
    turn: /^a text and a call$/,
    why: "The template has the text after the call",
    means: (said) => said.toReversed(),
  },
  {
    template: /^openai-gpt-oss/,
    turn: /^a text and a call$/,
    why: "The template makes the text a thought",
    means: (said) => said.map((part) => typeof part === "object" && "text" in part ? { thinking: part.text } : part),
  },
];

for (const { template, recordings, cannot } of templates) {
  Deno.test(`Parser reads what ${template} says that a model writes, however the text is cut`, () => {
    const reading = READINGS[template];
    assert(reading !== undefined);
    assertEquals(recordings.length + Object.keys(cannot).length, Object.keys(turns).length);
    for (const { turn, text, end, start } of recordings) {
      const said = turns[turn] ?? [];
      const exception = EXCEPTIONS.find((it) => it.template.test(template) && it.turn.test(turn));
      const means = exception?.means(said, text) ?? said;
      const options = { ...reading, ...(start === undefined ? {} : { start }) };
      assertParsed(text, options, means);
      const ended = means.includes("malformed") ? means : [...means, "end"];
      for (const [as, { model }] of reading.family) {
        const bytes = encoder.encode(asSeen(model, `${text}${end}More`));
        for (const pieces of [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))]) {
          const asked = { ...options, as, ends: [asSeen(model, end.trim())] };
          assertEquals(parse(pieces, asked), ended, `${text}${end}, ${as}`);
        }
      }
    }
  });
}

Deno.test("Templates of all families were recorded, with texts and calls", () => {
  for (const family of ["Qwen", "Hermes", "Llama", "Mistral", "Gemma", "gpt-oss"]) {
    const recorded = templates.filter((it) => it.family === family).flatMap(({ recordings }) => recordings);
    for (const turn of ["a text", "a call", "a call without arguments"]) {
      assert(recorded.some((recording) => recording.turn === turn), `${family}: ${turn}`);
    }
  }
});
