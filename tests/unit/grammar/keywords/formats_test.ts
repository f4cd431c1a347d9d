import { assert, assertEquals } from "@std/assert";
import { matches, randomNumbers, validator } from "../json_schema/support.ts";
import { formatTexts } from "../../../../src/grammar/keywords/formats.ts";
import { Languages } from "../../../../src/grammar/language/language.ts";

/** Texts of formats, and texts that are none. */
const TEXTS: Readonly<Record<string, readonly [fit: readonly string[], unfit: readonly string[]]>> = {
  date: [["2024-02-29", "1999-12-31"], ["2023-02-29", "2023-13-01", "24-01-01"]],
  time: [["23:59:59Z", "10:00:00.25+02:00", "23:59:60Z"], ["24:00:00Z", "10:00Z", "10:00:00"]],
  "date-time": [["2023-06-30T23:59:59.5+02:00", "2024-02-29t00:00:00z"], [
    "2023-06-31T00:00:00Z",
    "2023-06-30 00:00:00Z",
  ]],
  duration: [["P3Y6M4DT12H30M5S", "PT1M", "P2W"], ["P", "PT", "3D", "P1W2D"]],
  email: [["a@example.com", "a.b+c@x-y.org"], ["a@", "@b.c", "a b@c.d"]],
  hostname: [["example.com", "a", "x-1.y"], ["-a.com", "a..b", "a".repeat(64), ""]],
  ipv4: [["127.0.0.1", "255.255.255.255"], ["256.0.0.1", "1.2.3", "01.2.3.4"]],
  ipv6: [["::", "::1", "2001:db8::8a2e:370:7334", "::ffff:1.2.3.4"], ["1::2::3", "12345::", ":1"]],
  uri: [["https://user@example.com:80/a/b?c=d#e", "urn:isbn:123", "mailto:a@b.c"], [
    "//example.com",
    "a b:c",
    "relative",
  ]],
  "uri-reference": [["https://a.b", "/a/b", "../c", "#d", "", "a?b"], ["\\a", "a b", "1:2"]],
  uuid: [["123e4567-e89b-12d3-a456-426614174000"], [
    "123e4567e89b12d3a456426614174000",
    "g23e4567-e89b-12d3-a456-426614174000",
  ]],
  "json-pointer": [["", "/a/b~0c/~1d", "/"], ["a", "/~", "/~2"]],
  regex: [["^a+(b|c)?$", "[a-z]{2,3}", "\\d+", ""], ["(a", "[b", "*a", "a{2,1}", "\\"]],
  "uri-template": [["http://x/{y}{?q,z*}", "{+a:3}"], ["http://x/{", "}", "{!}"]],
  iri: [["https://exämple.com/ü?ß"], ["not-an-iri", "//ä"]],
  "iri-reference": [["ü/ö", "https://ä.b"], ["ü ö"]],
};
for (const [format, [fit, unfit]] of Object.entries(TEXTS)) {
  Deno.test(`a string is of a format and of no other kind when it is ${format}`, () => {
    for (const text of fit) assert(matches({ type: "string", format }, JSON.stringify(text)), text);
    for (const text of unfit) assert(!matches({ type: "string", format }, JSON.stringify(text)), text);
    assert(matches({ format }, "1"));
  });
}

for (const format of Object.keys(TEXTS).filter((format) => !format.startsWith("iri"))) {
  Deno.test(`texts of a format are valid when they are any of ${format}`, () => {
    const languages = new Languages();
    const texts = formatTexts(format, languages);
    assert(texts !== undefined);
    languages.release();
    const isValid = validator({ type: "string", format });
    const random = randomNumbers(5);
    let found = 0;
    for (let i = 0; i < 200; i++) {
      let at = texts.language;
      let text = "";
      while (text.length < 300 && !(at.nullable && random() < 0.3)) {
        const moves = languages.moves(at);
        if (moves.length === 0) break;
        const { chars, to } = moves[Math.floor(random() * moves.length)] as (typeof moves)[number];
        const range = Math.floor(random() * chars.length / 2) * 2;
        const [from, last] = [chars[range] as number, chars[range + 1] as number];
        text += String.fromCodePoint(from + Math.floor(random() * (last - from + 1)));
        at = to;
      }
      if (!at.nullable || text.length > texts.most) continue;
      found++;
      assert(isValid(text), JSON.stringify(text));
    }
    assert(found > 50);
  });
}

Deno.test("a format is an annotation when it is not known", () => {
  assertEquals(matches({ type: "string", format: "color" }, '"anything"'), true);
});
