/** The guides: whoever does what they say, in order and to the letter, gets what they say. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { freePort } from "../support/free_port.ts";
import { type GuideOptions, GuideReader } from "../support/guide.ts";
import { Hub } from "../support/hub.ts";
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

/** Whether this machine has a program. */
function has(command: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function testGuide(
  name: string,
  assertHolds: (guide: (options?: GuideOptions) => GuideReader) => Promise<void>,
  ignore = false,
): void {
  tested.push(`${name}.md`);
  Deno.test({
    name: `the guide ${name}.md holds when it is followed`,
    ignore,
    fn: () => assertHolds((options) => new GuideReader(Deno.readTextFileSync(new URL(`${name}.md`, GUIDES)), options)),
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

/** Ports that the guides name, and free ones in their place. */
function elsewhere(...ports: readonly number[]): Record<string, string> {
  return Object.fromEntries(ports.map((port) => [String(port), String(freePort())]));
}

testGuide("from-python", async (guide) => {
  await using reader = guide({ substitutions: elsewhere(47321, 47322, 47325) });
  await reader.follow();
}, !has("python3", "--version"));

testGuide("from-go", async (guide) => {
  // What has been compiled before need not be compiled again in the new home.
  const { stdout } = await new Deno.Command("go", { args: ["env", "GOCACHE"] }).output();
  await using reader = guide({
    substitutions: elsewhere(47321),
    env: { GOCACHE: new TextDecoder().decode(stdout).trim(), GOFLAGS: "-mod=mod", GOTOOLCHAIN: "local" },
  });
  await reader.follow();
}, !has("go", "version"));

testGuide("tcp", async (guide) => {
  await using reader = guide({
    substitutions: {
      ...elsewhere(47321, 47322, 47325),
      "0.0.0.0": "127.0.0.1",
      "192.168.1.10": "127.0.0.1",
      "THE KEY": ({ box }) => Deno.readTextFileSync(`${box.dir}/.inferd/key`),
    },
  });
  const imports = { "@inferd/client": `${CHECKOUT}/client/mod.ts` };
  reader.place("the other machine").write("~/app/deno.json", JSON.stringify({ imports }));
  await reader.follow();
});

testGuide("several-users", async (guide) => {
  const folder = await Deno.makeTempDir({ prefix: "inferd-srv-" });
  const { stdout } = await new Deno.Command("id", { args: ["-gn"] }).output();
  const group = new TextDecoder().decode(stdout).trim();
  try {
    await Deno.chmod(folder, 0o750);
    await using reader = guide({
      substitutions: { '"group": "inferd"': `"group": "${group}"`, "/srv/inferd": folder },
      standIns: { sudo: () => {} },
    });
    await reader.follow();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}, Deno.build.os === "windows");

testGuide("from-ollama", async (guide) => {
  await using hub = new Hub("Qwen/Qwen3-0.6B-GGUF", { "Qwen3-0.6B-Q8_0.gguf": 1 }, Deno.readFileSync(MODEL.url));
  await using reader = guide({ substitutions: elsewhere(11434), env: { HF_ENDPOINT: hub.url } });
  const place = reader.place();
  const layers = [{ mediaType: "application/vnd.ollama.image.model", digest: `sha256:${MODEL.sha256}` }];
  place.write("~/.ollama/models/manifests/registry.ollama.ai/library/qwen3/0.6b", JSON.stringify({ layers }));
  place.write(`~/.ollama/models/blobs/sha256-${MODEL.sha256}`, Deno.readFileSync(MODEL.url));
  await reader.follow();
});

testGuide("gpu", async (guide) => {
  // One that this machine cannot have.
  const impossible = Deno.build.os === "darwin" ? "cuda" : "metal";
  await using reader = guide({
    substitutions: { "--accelerator metal": `--accelerator ${impossible}`, '"metal"': `"${impossible}"` },
  });
  await reader.follow();
});

testGuide("troubleshooting", async (guide) => {
  await using reader = guide();
  await reader.follow();
});

testGuide("updating", async (guide) => {
  await using reader = guide({ standIns: { systemctl: () => {} } });
  const place = reader.place();
  place.write("~/.inferd/cache/libraries/README", "");
  place.write("~/.local/share/models/README", "");
  await Deno.mkdir(`${place.box.dir}/.deno/bin`, { recursive: true });
  await place.run(`cd '${CHECKOUT}' && npx --yes deno task install`);
  await reader.follow();
  assertEquals([...Deno.readDirSync(`${place.box.dir}/.deno/bin`)], []);
  assertEquals([...Deno.readDirSync(place.box.dir)].map(({ name }) => name).filter((name) => name === ".inferd"), []);
}, Deno.build.os !== "linux");

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

Deno.test("the messages that troubleshooting.md explains are those of the program", async () => {
  const { stdout } = await new Deno.Command("git", { args: ["ls-files", "src", "client"], cwd: CHECKOUT }).output();
  const files = new TextDecoder().decode(stdout).trim().split("\n").filter((file) => file.endsWith(".ts"));
  const sources = files.map((file) => Deno.readTextFileSync(`${CHECKOUT}/${file}`)).join("\n");
  const rows = Deno.readTextFileSync(new URL("troubleshooting.md", GUIDES)).matchAll(/^\| `([^`]+)` +\|/gm);
  const parts = rows.flatMap(([, message = ""]) => message.split("…")).map((part) =>
    part.replace(/^[" :)]+|[" :(]+$/g, "")
  );
  const known = parts.filter((part) => part.length > 3).toArray();
  assert(known.length > 10, `${known.length} parts`);
  assertEquals(known.filter((part) => !sources.includes(part)), []);
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
  ["a block that can be run fails", "<!-- needs: true -->\n" + block("sh", "false"), "false"],
  ["a block is of no known kind", block("docs", "inferd --version"), 'A block is in "docs"'],
  ["a session prints another text", block("console", "$ inferd --version\ninferd 99"), "but this was printed"],
  ["a session is none", block("console", "inferd --version"), 'A session begins with "$ "'],
  ["a file has no name", block("json", "{}"), "No comment names the file"],
  [
    "a fence is indented",
    `- step\n  ${block("sh", "inferd --version").trim().replaceAll("\n", "\n  ")}\n`,
    "Not every fence",
  ],
  ["a sentence names a command that was not run", "Now `inferd --version`.\n", "in no block that was run"],
  ["a table names a command that does not exist", "| `inferd fly` |\n", "no such command"],
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
