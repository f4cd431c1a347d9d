/** The guides: whoever does what they say, in order and to the letter, gets what they say. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { type GuideOptions, GuideReader } from "../support/guide.ts";
import { ModelServer } from "../support/model_server.ts";
import { OpenAiServer, words } from "../support/openai_server.ts";

const GUIDES = new URL("../../docs/guides/", import.meta.url);
const CHECKOUT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");
const MODEL = BUILT_INS["inferd-tiny"];
const HUGGING_FACE = "https://huggingface.co";
/** A file that the reader has. */
const FILE = { "~/Downloads/some-model.gguf": BUILT_INS["inferd-tiny-embed"].url.pathname };

/** The guides that have a test, to see that all have. */
const tested: string[] = [];

function testGuide(
  name: string,
  follow: (guide: (options?: GuideOptions) => GuideReader) => Promise<void>,
  ignore = false,
): void {
  tested.push(`${name}.md`);
  Deno.test({
    name: `the guide ${name}.md holds when it is followed`,
    ignore,
    fn: () => follow((options) => new GuideReader(Deno.readTextFileSync(new URL(`${name}.md`, GUIDES)), options)),
  });
}

testGuide("first-run", async (guide) => {
  await using reader = guide({ substitutions: { "~/src/inferd": `'${CHECKOUT}'` } });
  await reader.follow();
});

testGuide("own-model", async (guide) => {
  await using server = new ModelServer(Deno.readFileSync(MODEL.url));
  const { origin } = new URL(server.url);
  await using reader = guide({
    files: { "~/Downloads/some-model.gguf": MODEL.url.pathname },
    substitutions: { [HUGGING_FACE]: origin, "THE HASH": MODEL.sha256 },
    env: { HF_ENDPOINT: origin },
  });
  await reader.follow();
  assertEquals(server.requests.map(({ path }) => path), [
    "/Qwen/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q8_0.gguf",
  ]);
});

testGuide("service", async (guide) => {
  const calls: string[] = [];
  await using reader = guide({
    standIns: {
      systemctl: async (args, reader) => {
        calls.push(args);
        if (args === "--user enable --now inferd.service") await reader.place().serve("inferd serve");
        if (args === "--user disable --now inferd.service") await reader.place().stop();
      },
      journalctl: () => {},
      loginctl: () => {},
    },
  });
  await reader.follow();
  assertStringIncludes(calls.join("\n"), "--user enable --now inferd.service");
  assertEquals(reader.place().isServing, false);
}, Deno.build.os !== "linux");

testGuide("from-my-app", async (guide) => {
  await using reader = guide({ substitutions: { "../src/inferd": CHECKOUT } });
  await reader.follow();
});

testGuide("in-front-of-vllm", async (guide) => {
  await using server = new OpenAiServer((asked) => asked.stream(...words("Hello", "!")));
  await using reader = guide({ substitutions: { "http://127.0.0.1:8000": new URL(server.url).origin } });
  await reader.follow();
  const [asked] = server.asked;
  assertEquals([asked?.body.model, asked?.headers.get("authorization")], ["Qwen/Qwen3-8B", "Bearer some-key"]);
});

testGuide("offline", async (guide) => {
  const stick = await Deno.makeTempDir({ prefix: "inferd-stick-" });
  try {
    await using server = new ModelServer(Deno.readFileSync(MODEL.url));
    const { origin } = new URL(server.url);
    await using reader = guide({
      files: FILE,
      substitutions: { "THE HASH": MODEL.sha256, "/media/stick": stick },
      env: { HF_ENDPOINT: origin },
    });
    await reader.follow();
    // The one download; the offline machine asked for nothing.
    assertEquals(server.requests.length, 1);
  } finally {
    await Deno.remove(stick, { recursive: true });
  }
});

Deno.test("every guide is followed by a test", () => {
  assertEquals([...Deno.readDirSync(GUIDES)].map(({ name }) => name).sort(), tested.toSorted());
});

const block = (language: string, code: string): string => `\n\`\`\`${language}\n${code}\n\`\`\`\n`;
const WRONG: readonly (readonly [string, string, string, GuideOptions?])[] = [
  ["a command fails", block("sh", "inferd no-such-command"), "no-such-command"],
  ["a command is passed over", block("sh", "false && inferd --version || true"), 'A command "inferd" was not run'],
  ["another text is printed", block("sh", "inferd --version") + block("text", "inferd 99"), "but this was printed"],
  ["a text belongs to no command", block("text", "inferd 99"), "No command before"],
  ["a block is of no known kind", block("console", "inferd --version"), 'A block is in "console"'],
  ["a file has no name", block("json", "{}"), "No comment names the file"],
  [
    "a fence is indented",
    `- step\n  ${block("sh", "inferd --version").trim().replaceAll("\n", "\n  ")}\n`,
    "Not every fence",
  ],
  ["a sentence names a command that was not run", "Now `inferd --version`.\n", "in no block that was run"],
  ["a substitution has no place", block("sh", "true"), 'No block says "https://x"', {
    substitutions: { "https://x": "http://y" },
  }],
  ["a stand-in is not needed", block("sh", "true"), "systemctl was never called", {
    standIns: { systemctl: () => {} },
  }],
];
for (const [what, guide, message, options] of WRONG) {
  Deno.test(`a guide does not hold when ${what}`, async () => {
    await using reader = new GuideReader(guide, options);
    await assertRejects(() => reader.follow(), Error, message);
  });
}
