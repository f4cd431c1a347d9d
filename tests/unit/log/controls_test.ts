import { assertEquals } from "@std/assert";
import { spellControls } from "../../../src/log/controls.ts";

Deno.test("spellControls spells what a terminal would obey, and keeps lines, tabs and every script", () => {
  assertEquals(
    spellControls("a\x1b]52;c;aGk=\x07b\x9b2J\x7f\r\b\0"),
    "a\\u001b]52;c;aGk=\\u0007b\\u009b2J\\u007f\\u000d\\u0008\\u0000",
  );
  assertEquals(spellControls("a\u202eb\u2066c\u2028d"), "a\\u202eb\\u2066c\\u2028d");
  assertEquals(spellControls("a\u061cb\u206ac"), "a\\u061cb\\u206ac");
  const harmless = "one\n\ttwo – ä 漢字 👩‍👩‍👧 نص";
  assertEquals(spellControls(harmless), harmless);
});
