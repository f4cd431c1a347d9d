import { assert, assertEquals } from "@std/assert";
import { spellControls } from "../../../src/log/controls.ts";
import { redactedJson, redactText } from "../../../src/log/redact.ts";

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
  ["hf_abcdefghunter2XYZ, hf_hub", "[REDACTED:huggingface], hf_hub"],
  ["pat-hunter2XYZ", "[REDACTED:pat]"],
  ["AKIAHUNTER2XYZABCDEF", "[REDACTED:aws]"],
  ["ASIAHUNTER2XYZABCDEF", "[REDACTED:aws]"],
  ["token: ghp_hunter2XYZ", "token: [REDACTED:github]"],
  ['["authorization","Basic hunter2XYZ"]', '["authorization",[REDACTED:authorization]]'],
  ["Proxy-Authorization: Basic hunter2XYZ\r\nHost: x", "Proxy-Authorization: [REDACTED:authorization]\r\nHost: x"],
  ["sent bearer hunter2XYZ-0123456789 to", "sent bearer [REDACTED:authorization] to"],
  ["https://u:hunter2XYZ@h/v1 of git@h", "https://[REDACTED:userinfo]@h/v1 of git@h"],
  ['{"password":["hunter2XYZ","more"],"x":1}', '{"password":[REDACTED:secret],"x":1}'],
  ['{"token":{"value":"hunter2XYZ"},"x":1}', '{"token":[REDACTED:secret],"x":1}'],
  ["x-api-key: hunter2XYZ", "x-api-key: [REDACTED:secret]"],
  ["secret\t=\thunter2XYZ", "secret\t=\t[REDACTED:secret]"],
  ["a-eyJhbGciOiJkaXIifQ..iv.hunter2XYZ.tag", "a-[REDACTED:jwt]"],
  ["_sk-ant-api03-hunter2XYZ", "_[REDACTED:key]"],
  // Right behind an escape, as in JSON that stands in a text.
  ["a\\nsk-proj-hunter2XYZ", "a\\n[REDACTED:key]"],
  ["a\\tghp_hunter2XYZ", "a\\t[REDACTED:github]"],
  ["a\\u000axoxb-hunter2XYZ", "a\\u000a[REDACTED:slack]"],
  ["a\\neyJhbGciOiJIUzI1NiJ9.e30.hunter2XYZ", "a\\n[REDACTED:jwt]"],
  ["a\\rAKIAHUNTER2XYZABCDEF", "a\\r[REDACTED:aws]"],
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
    "the bearer of bad news",
    "https://host:8080/path and mail@host",
    "eyJ and eyJhbGci.only-two",
    "C:\\\\task-force-delta",
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

Deno.test("redactedJson replaces whatever stands under a key that names a secret, and secrets in keys", () => {
  const record = {
    authorization: ["Bearer", SECRET],
    token: { value: SECRET },
    password: true,
    secret: null,
    [`sk-${SECRET}`]: 1,
    [`password=${SECRET}`]: { [`ghp_${SECRET}`]: SECRET.slice(0, 3) },
    __proto__: { [`xoxb-${SECRET}`]: 2 },
  };
  const line = redactedJson(record);
  assertEquals(JSON.parse(line), {
    authorization: "[REDACTED:secret]",
    token: "[REDACTED:secret]",
    password: "[REDACTED:secret]",
    secret: null,
    "[REDACTED:key]": 1,
    "password=[REDACTED:secret]": { "[REDACTED:github]": "hun" },
  });
});

Deno.test("redactedJson is one line of valid JSON without raw control characters when strings are hostile", () => {
  const everything = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).join("");
  const nested = (levels: number): string => levels === 0 ? `password="${SECRET}"` : JSON.stringify(nested(levels - 1));
  const strings = [
    // Every code unit, the halves of pairs alone among them.
    ...Array.from({ length: 16 }, (_, part) => everything.slice(part * 4096, (part + 1) * 4096)),
    "\ud800sk-" + SECRET + "\udc00",
    `\ud83dpassword=${SECRET}\ude00`,
    `"}\n{"t":"forged","msg":"password":"${SECRET}`,
    "\u2028\u2029\u0085\u0000\u001b[31m\u202e\u061c\u2066",
    ...Array.from({ length: 8 }, (_, levels) => nested(levels)),
    JSON.stringify({ headers: { Authorization: `Bearer ${SECRET}` }, list: [`sk-${SECRET}`, `line\nsk-${SECRET}`] }),
    JSON.stringify(JSON.stringify({ a: `x\nghp_${SECRET}`, token: `"${SECRET}"`, b: `\\"${SECRET.slice(1, 3)}` })),
  ];
  for (const text of strings) {
    const line = redactedJson({ msg: "x", text, [text]: { [text]: [text] } });
    assertEquals([line.includes("\n"), spellControls(line) === line], [false, true]);
    assertEquals(new TextDecoder().decode(new TextEncoder().encode(line)), line);
    const parsed = JSON.parse(line) as { msg: string; text: string };
    assertEquals(parsed.msg, "x");
    if (!text.includes(SECRET)) assertEquals(parsed.text, text);
    assert(!line.includes(SECRET), `${JSON.stringify(text)} became ${line}`);
  }
});

Deno.test("redactedJson writes big integers as texts", () => {
  assertEquals(redactedJson({ id: 2n ** 64n }), '{"id":"18446744073709551616"}');
});

// With a pattern that goes back over what it has seen, any of these takes minutes.
const LONG = 1024 * 1024;
for (
  const [what, piece] of [
    ["beginnings of JWTs", "eyJ-"],
    ["JWTs of two parts", "eyJ-a.e "],
    ["dotted words", "eyJa."],
    ["names without a value", "authorization"],
    ["names and blanks", `token${" ".repeat(5000)}`],
    ["names, colons and blanks", `token:${" ".repeat(5000)}`],
    ["backslashes", "\\"],
    ["names and backslashes", `token${"\\".repeat(5000)}`],
    ["names, colons and backslashes", `token:${"\\".repeat(5000)}`],
    ["names, backslashes and a letter", `token${"\\".repeat(5000)}t`],
    ["names, colons, backslashes and a letter", `token:${"\\".repeat(5000)}n,`],
    ["names and escaped blanks", `token${"\\n\\\\t".repeat(1000)}`],
    ["quotes that never close", `token:${"\\".repeat(500)}"x`],
    ["quotes of all depths", 'token:"\\"\\\\"\\\\\\"'],
    ["brackets that never close", "token:[["],
    ["braces that never close", "token:{{"],
    ["schemes", "://a:b"],
    ["bearers", "bearer "],
    ["beginnings of keys", "sk-a "],
    ["beginnings of AWS keys", "AKIAAAAAAAAAAAA "],
    ["escapes", "\\u0041sk-"],
    ["quotes in names", `authorization"${" ".repeat(5000)},`],
  ] as const
) {
  Deno.test(`redactText comes to an end when a text is nothing but ${what}`, () => {
    for (const prefix of ["", "token:", 'token:"', 'token:\\\\"', "eyJ", "authorization\n"]) {
      const text = prefix + piece.repeat(LONG / piece.length);
      assert(redactText(text).length <= 5 * text.length);
    }
  });
}

Deno.test("redactText finds the secret at the end when a text is long, and leaves out one that is too long", () => {
  const padding = "eyJ-".repeat(LONG / 4);
  assertEquals(redactText(`${padding} sk-${SECRET}`), `${padding} [REDACTED:key]`);
  assertEquals(redactText("x".repeat(5 * LONG)), "[5242880 characters left out]");
});
