import { assert, assertEquals } from "@std/assert";
import { redactedJson, redactText } from "../../src/redact.ts";

const SECRET = "hunter2XYZ";

const CASES: readonly (readonly [string, string])[] = [
  ["Authorization: Bearer hunter2XYZ", "Authorization: [REDACTED:authorization]"],
  ['Authorization: Digest username="u", response="hunter2XYZ"', "Authorization: [REDACTED:authorization]"],
  ['{"Authorization":"Bearer hunter2XYZ","x":1}', '{"Authorization":[REDACTED:authorization],"x":1}'],
  ["password=hunter2XYZ rest", "password=[REDACTED:secret] rest"],
  ["passwd: hunter2XYZ", "passwd: [REDACTED:secret]"],
  ["PWD = hunter2XYZ;x", "PWD = [REDACTED:secret];x"],
  ["api_key='hunter2XYZ with spaces' x", "api_key=[REDACTED:secret] x"],
  ["?token=hunter2XYZ&x=1", "?token=[REDACTED:secret]&x=1"],
  ["DB_PASSWORD=hunter2XYZ", "DB_PASSWORD=[REDACTED:secret]"],
  ["clientSecret: hunter2XYZ", "clientSecret: [REDACTED:secret]"],
  ['{"secret":"a \\" hunter2XYZ"} x', '{"secret":[REDACTED:secret]} x'],
  ['{\\"secret\\":\\"a hunter2XYZ\\"} x', '{\\"secret\\":[REDACTED:secret]} x'],
  ['{"password":"hunter2XYZ and cut off', '{"password":[REDACTED:secret]'],
  [
    "x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.hunter2XYZ y",
    "x [REDACTED:jwt] y",
  ],
  ["sk-proj-abc-hunter2XYZ!", "[REDACTED:key]!"],
  ["xoxb-123-hunter2XYZ", "[REDACTED:slack]"],
  ["ghp_hunter2XYZ gho_hunter2XYZ", "[REDACTED:github] [REDACTED:github]"],
  ["pat-hunter2XYZ", "[REDACTED:pat]"],
  ["AKIAHUNTER2XYZABCDEF", "[REDACTED:aws]"],
  ["ASIAHUNTER2XYZABCDEF", "[REDACTED:aws]"],
  ["token: ghp_hunter2XYZ", "token: [REDACTED:github]"],
];

for (const [text, expected] of CASES) {
  Deno.test(`redactText takes the secret out when the text is ${text}`, () => {
    assertEquals(redactText(text), expected);
  });
}

for (
  const text of [
    "first_token_ms and max_tokens are not secrets",
    "task-force-delta and risk-averse",
    "tokens: 12",
    "a path-like-thing/compat-mode-on",
    "the password was wrong",
  ]
) {
  Deno.test(`redactText leaves the text alone when it is ${text}`, () => {
    assertEquals(redactText(text), text);
  });
}

Deno.test("redactedJson replaces the value when the key names a secret", () => {
  const record = { api_key: SECRET, accessToken: SECRET, nested: { password: 12345 }, tokens_in: 3, token_count: 4 };
  assertEquals(JSON.parse(redactedJson(record)), {
    api_key: "[REDACTED:secret]",
    accessToken: "[REDACTED:secret]",
    nested: { password: "[REDACTED:secret]" },
    tokens_in: 3,
    token_count: 4,
  });
});

Deno.test("redactedJson stays valid JSON without the secret when secrets stand among quotes and escapes", () => {
  const shapes = CASES.map(([text]) => text);
  const noise = ['"', "\\", '\\"', "{", "}", ":", "=", "'", "\n", "\u0000", "é", "😀", " ", ","];
  // A small generator with a fixed seed: a failure can be repeated.
  let seed = 42;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  for (let round = 0; round < 2000; round++) {
    const around = (): string => Array.from({ length: random(5) }, () => noise[random(noise.length)]).join("");
    const text = `${around()} ${shapes[random(shapes.length)]} ${around()}`;
    const line = redactedJson({ msg: "x", text, nested: { text, again: JSON.stringify({ text }) } });
    const parsed = JSON.parse(line) as { msg: string };
    assertEquals(parsed.msg, "x");
    assert(!line.toLowerCase().includes(SECRET.toLowerCase()), `${JSON.stringify(text)} became ${line}`);
  }
});
