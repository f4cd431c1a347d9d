/**
 * What the families' chat templates say, against what was recorded of them. Needs `INFERD_LLAMA_CPP_DIR`, a folder with
 * llama.cpp's source, of the release that docs/operations.md names; skipped without.
 */
import { assert, assertEquals } from "@std/assert";
import * as library from "node-llama-cpp";
import type { ChatModel } from "../../src/engine/chat.ts";
import { ChatTemplate } from "../../src/engine/chat_template.ts";
import { type Dialect, type Marker, textOf } from "../../src/engine/dialect.ts";
import { withControlNames } from "../../src/engine/text.ts";
import { dialectFor, idOf, tagOf, TAGS } from "../support/dialects.ts";
import { readTemplate, recordTemplates } from "../support/record_templates.ts";
import { FROM_TEMPLATES, READINGS } from "../support/template_recordings.ts";

const folder = Deno.env.get("INFERD_LLAMA_CPP_DIR") ?? "";
const encoder = new TextEncoder();

/** A model's metadata that a wrapper is chosen by, beside the template. */
const METADATA: Readonly<Record<string, readonly [name: string, value: string][]>> = {
  "meta-llama-Llama-3.2-3B-Instruct.jinja": [["general.name", "Llama 3.2 3B Instruct"], ["general.size_label", "3B"]],
};

/** A model with a token for each character, and one for each tag in its template. */
function modelWith(template: string, metadata: readonly [name: string, value: string][]): ChatModel {
  const tags = new Set(template.match(TAGS));
  // Known to every Llama 3 model; the template speaks of it only where there are built-in tools.
  if (tags.has("<|eot_id|>")) tags.add("<|eom_id|>");
  const ends = ["<|im_end|>", "<|eot_id|>", "<turn|>", "<|return|>"].find((tag) => tags.has(tag)) ?? "</s>";
  tags.add(ends);
  return {
    metadata: new Map([["tokenizer.chat_template", template], ...metadata]),
    named: { BOS: -1, EOS: idOf(ends), NL: 10, EOT: -1, SEP: -1 },
    addsBos: false,
    spacePrefix: false,
    longestPiece: 12,
    tokenize(text, special): Int32Array {
      const parts = special ? text.split(new RegExp(`(${TAGS.source})`)) : [text];
      return Int32Array.from(
        parts.flatMap((part) =>
          tags.has(part) ? [idOf(part)] : Array.from(part, (char) => char.codePointAt(0) as number)
        ),
      );
    },
    piece: (token) => encoder.encode(tagOf(token) === undefined ? String.fromCodePoint(token) : ""),
    describe: (token) => tagOf(token) ?? String.fromCodePoint(token),
    isControl: (token) => tagOf(token) !== undefined,
    endsAnswer: (token) => token === idOf(ends),
  };
}

/** What a parser looks for; where an answer ends is nothing to look for, and a thought is not if there is none. */
function formOf({ thought, call, channels }: Dialect, thinks: boolean): unknown {
  const plain = (marker: Marker = []): string => withControlNames(textOf(marker)).replace("<|eot_id|>", "");
  return {
    thought: thinks && thought && [plain(thought.open), plain(thought.close)],
    call: call && {
      ...{ marker: plain(call.marker), section: call.section, json: call.json, braced: call.braced },
      read: Object.values({ ...call.read, sectionClose: call.section && call.read.sectionClose }).map((text) =>
        text && plain([text])
      ),
    },
    channels: channels && { ...channels, write: undefined },
  };
}

Deno.test({
  name: "the families' chat templates render what was recorded of them",
  ignore: folder === "",
  async fn(): Promise<void> {
    assertEquals(await recordTemplates(folder), FROM_TEMPLATES);
  },
});

Deno.test({
  name: "a model with a family's chat template is read as the tests of the parser read what was recorded",
  ignore: folder === "",
  async fn(): Promise<void> {
    for (const { template, recordings } of FROM_TEMPLATES.templates) {
      const reading = READINGS[template];
      assert(reading !== undefined);
      const model = modelWith(await readTemplate(folder, template), METADATA[template] ?? []);
      const { dialect } = new ChatTemplate(model, library, true);
      const { call, ...rest } = dialectFor(reading.wrapper, true);
      const expected = reading.calls === "ignore" ? rest : { ...rest, ...(call === undefined ? {} : { call }) };
      const thinks = recordings.some(({ turn }) => turn.startsWith("a thought"));
      assertEquals(formOf(dialect, thinks), formOf(expected, thinks), template);
    }
  },
});
