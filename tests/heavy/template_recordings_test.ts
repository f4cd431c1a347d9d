/**
 * What the families' chat templates say, against what was recorded of them. Needs `INFERD_LLAMA_CPP_DIR`, a folder with
 * llama.cpp's source, of the release that docs/operations.md names; skipped without.
 */
import { assertEquals } from "@std/assert";
import { recordTemplates } from "../support/record_templates.ts";
import { FROM_TEMPLATES } from "../support/template_recordings.ts";

const folder = Deno.env.get("INFERD_LLAMA_CPP_DIR") ?? "";

Deno.test({
  name: "the families' chat templates render what was recorded of them",
  ignore: folder === "",
  async fn(): Promise<void> {
    assertEquals(await recordTemplates(folder), FROM_TEMPLATES);
  },
});
