/**
 * Real schemas with values that are valid or not: what is compiled, what is taken, and how long it takes. Needs
 * `INFERD_SCHEMAS_FILE`, an NDJSON file as `bench/schema_corpus.ts` describes it; skipped without.
 */
import { assert, assertEquals } from "@std/assert";
import { measureCorpus, quantile, readCorpus } from "../../bench/schema_corpus.ts";
import { describe } from "../../bench/structured.ts";

const file = Deno.env.get("INFERD_SCHEMAS_FILE") ?? "";

Deno.test({
  name: "real schemas compile, and take what is valid and nothing else",
  ignore: file === "",
  async fn(): Promise<void> {
    const result = await measureCorpus(readCorpus(file));
    console.log(describe(result).join("\n"));
    assertEquals(result.invalidAccepted, []);
    assert(result.validRefused.length <= 20, result.validRefused.join(" "));
    assert(result.passing >= 0.84 * result.schemas);
    // Busy machines are allowed for; the bench measures.
    assert(quantile(result.compileMs, 0.5) < 5);
    assert(quantile(result.compileMs, 0.95) < 60);
  },
});
