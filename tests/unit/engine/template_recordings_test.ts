/** Answers as the families' chat templates have them, which is how the models were trained to write. */
import { assert, assertEquals } from "@std/assert";
import { dialectFor } from "../../support/dialects.ts";
import { check, parse, type ParserEvent } from "../../support/parsing.ts";
import { FROM_TEMPLATES, READINGS } from "../../support/template_recordings.ts";

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
    template: /^Qwen3(\.5|-Coder)/,
    turn: /calls?\b/,
    why: "The grammar lets arguments be written as one object only, as node-llama-cpp has them in past calls",
    means: (said) => [...said.filter((part) => typeof part === "object" && !("call" in part)), "malformed"],
  },
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
  {
    template: /^Mistral-Small-3\.2/,
    turn: /calls?\b/,
    why: "A call has an identifier, which node-llama-cpp knows no form for: the daemon offers such a model no tools",
    means: (_, text) => [{ text }],
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
      // What is no marker does not show as a token.
      if (means.some((part) => typeof part === "object" && "text" in part && part.text.includes("[TOOL_CALLS]"))) {
        assertEquals(parse([encoder.encode(text)], options), means);
        continue;
      }
      check(text, options, means);
      if ("call" in (said.at(-1) ?? {}) && dialectFor(reading.wrapper).call?.read.suffix.endsWith(end)) {
        // Part of the call.
        check(text + end, options, means);
        continue;
      }
      const bytes = encoder.encode(`${text}${end}More`);
      const ended = means.includes("malformed") ? means : [...means, "end"];
      for (const pieces of [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))]) {
        assertEquals(parse(pieces, { ...options, ends: [end.trim()] }), ended, `${text}${end}`);
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
