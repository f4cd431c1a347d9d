import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Sandbox } from "../support/program.ts";

const RECORDS = [
  {
    t: "2026-01-31T12:00:00.000Z",
    level: "info",
    component: "daemon",
    msg: "listening",
    address: "/run/a b",
    tcp: null,
  },
  {
    t: "2026-01-31T12:00:01.000Z",
    level: "warn",
    component: "engine",
    msg: "odd",
    reason: "\u001b]0;x\u0007\n",
    n: [1],
  },
];
const LINES = [
  "2026-01-31 12:00:00 info  daemon listening address=/run/a b",
  String.raw`2026-01-31 12:00:01 warn  engine odd reason=\u001b]0;x\u0007\n n=[1]`,
];
const ENV = { TZ: "UTC" };

function withLog(work: (box: Sandbox, path: string) => Promise<void>): () => Promise<void> {
  return async () => {
    await using box = new Sandbox();
    const dir = `${box.dir}/logs`;
    Deno.mkdirSync(dir, { recursive: true });
    const path = `${dir}/inferd.ndjson`;
    Deno.writeTextFileSync(path, RECORDS.map((record) => `${JSON.stringify(record)}\n`).join(""));
    await work(box, path);
  };
}

Deno.test(
  "inferd logs prints readable lines without control characters, and records with --json",
  withLog(async (box, path) => {
    for (
      const [args, expected] of [
        [[], LINES],
        [["-n", "1"], LINES.slice(1)],
        [["-n1"], LINES.slice(1)],
        [["--lines", "0"], []],
        [["--json", "-n", "1"], [JSON.stringify(RECORDS[1])]],
      ] as const
    ) {
      const { code, stdout, stderr } = await box.run(["logs", ...args], { env: ENV });
      assertEquals([code, stderr], [0, ""]);
      assertEquals(stdout, expected.map((line) => `${line}\n`).join(""), args.join(" "));
    }
    const wrong = await box.run(["logs", "-n"], { env: ENV });
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, "--lines");
    Deno.writeTextFileSync(path, "cut off \u001b{\n", { append: true });
    assertEquals((await box.run(["logs", "-n1"])).stdout, "cut off \\u001b{\n");
  }),
);

Deno.test(
  "inferd logs finds as many lines as are asked for in a long log",
  withLog(async (box, path) => {
    const line = JSON.stringify({ ...RECORDS[0], text: "x".repeat(1000) });
    Deno.writeTextFileSync(path, `${line}\n`.repeat(2000), { append: true });
    const { stdout } = await box.run(["logs", "-n", "2001"], { env: ENV });
    assertEquals(stdout.split("\n").length, 2002);
    assertEquals(stdout.split("\n")[0], LINES[1]);
  }),
);

Deno.test(
  "inferd logs -f prints what is added, once it is a whole line, also to a file begun again",
  withLog(async (box, path) => {
    await using following = box.spawn(["logs", "-fn", "1"], { env: ENV });
    await following.stdout.has(LINES[1] ?? "");
    const [first, second] = [
      JSON.stringify({ ...RECORDS[0], msg: "first" }),
      JSON.stringify({ ...RECORDS[0], msg: "second" }),
    ];
    Deno.writeTextFileSync(path, first.slice(0, 50), { append: true });
    Deno.writeTextFileSync(path, `${first.slice(50)}\n`, { append: true });
    await following.stdout.has("daemon first");
    Deno.renameSync(path, `${path}.1`);
    Deno.writeTextFileSync(path, `${second}\n`);
    await following.stdout.has("daemon second");
    following.kill("SIGINT");
    const { code, stdout } = await following.outcome;
    assertEquals(code, 0);
    assertEquals(stdout.trimEnd().split("\n").length, 3);
    assert(stdout.startsWith(LINES[1] ?? ""));
    assertMatch(stdout, /^2026-01-31 12:00:00 info {2}daemon first address=\/run\/a b$/m);
  }),
);
