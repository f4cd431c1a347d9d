/** The page beside its chat: what it shows of the daemon, what it withstands, and who can use it. */
import { assert, assertEquals } from "@std/assert";
import { AdminServer } from "../../src/admin/server.ts";
import { StatusBoard } from "../../src/admin/status.ts";
import { startHttp } from "../../src/http/server.ts";
import { BridgeUnderTest, placeOf } from "../support/bridges.ts";
import { browserTest, BrowserUnderTest } from "../support/browser.ts";
import { CONTROLLED_CAPABILITIES } from "../support/controlled_backend.ts";
import { daemonOptions, DaemonUnderTest } from "../support/daemons.ts";
import {
  accessibility,
  attack,
  contrasts,
  focusedElement,
  longestPause,
  messageParts,
  pageWidth,
  watchPauses,
} from "../support/in_page.js";
import { modelBytes, TempStore } from "../support/model_store.ts";
import { LogRecorder } from "../support/log_recorder.ts";
import { ControlledBridge } from "../support/page_backend.ts";
import { nextTurn } from "../support/waiting.ts";
import { Sandbox } from "../support/program.ts";
import { StagedBackend } from "../support/staged_backend.ts";
import { hubOf, pullStore } from "../support/pull_stores.ts";
import { eventually } from "../support/waiting.ts";

const WORDS = 50_000;

browserTest("the page tells when the daemon is killed, and goes on when it is back", async () => {
  await using sandbox = new Sandbox();
  const args = ["--backend", "mock", "--mock-script", '{"hangAt":1}'];
  await using killed = await sandbox.serve(args);
  await using server = await startHttp({
    listen: { hostname: "127.0.0.1", port: 0 },
    daemon: placeOf(daemonOptions(sandbox.dir, { runtimeDir: sandbox.runtimeDir })),
    origins: [],
    aliases: {},
  });
  await using browser = await BrowserUnderTest.open(server.url);
  const { page } = browser;
  await browser.state("ready");
  await browser.send("hello");
  await page.getByText("This", { exact: true }).waitFor();
  killed.kill("SIGKILL");
  await browser.state("no daemon");
  await page.getByRole("alert").getByText("closed the connection").waitFor();
  assertEquals(await page.getByText("This", { exact: true }).count(), 1);
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByRole("alert").getByText("Cannot connect").waitFor();
  await using _back = await sandbox.serve(args);
  await browser.state("ready");
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByText("This", { exact: true }).waitFor();
  await page.keyboard.press("Escape");
  await browser.answered();
  browser.assertClean();
});

browserTest(`the page stays responsive with an answer of ${WORDS} words`, async () => {
  await using served = await ControlledBridge.start();
  await using browser = await BrowserUnderTest.open(served.bridge.url);
  const { page } = browser;
  await browser.send("Tell me everything");
  const run = await served.backend.next();
  await page.evaluate(watchPauses);
  // Paragraphs, one of them a tenth of everything, a list and code.
  for (let word = 0; word < WORDS; word++) {
    const isLong = word > WORDS / 2 && word < WORDS * 0.6;
    run.say(!isLong && word % 100 === 99 ? `**word${word}**\n\n` : `word${word} `);
    // So that the answer comes over time.
    if (word % 500 === 0) await nextTurn();
  }
  await page.getByText(`word${WORDS - 2}`).waitFor();
  // Others can be used meanwhile.
  await page.getByRole("link", { name: "Activity" }).click();
  await page.getByRole("button", { name: "Cancel request 1" }).waitFor();
  await page.getByRole("link", { name: "Chat" }).click();
  run.finish();
  await browser.answered();
  const worst = await page.evaluate(longestPause);
  // Alone on a machine it is some 50 ms; what grows with the square of the answer takes many seconds.
  assert(worst < 1500, `The page stood still for ${Math.round(worst)} ms`);
  const text = await page.locator(".message.assistant .text").last().textContent() ?? "";
  assertEquals(text.match(/word\d+/g)?.length, WORDS);
  browser.assertClean();
});

const HOSTILE = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(2)>",
  '<iframe src="https://outside.example/"></iframe>',
  "![look](https://outside.example/pixel.png)",
  "[click](javascript:alert(3))",
  "[data](data:text/html,<script>alert(4)</script>)",
  '<a href="https://outside.example/" onclick="alert(5)">go</a>',
  '<style>@import "https://outside.example/a.css"; body { display: none }</style>',
  "<svg><script>alert(6)</script></svg><math><mtext><table><mglyph><style><img src=x onerror=alert(7)>",
  '<form action="https://outside.example/"><input name="id"><button>x</button></form>',
  '<div id="messages" class="pill">fake</div>',
  "[ref]: https://outside.example/r\n\n[ref] <https://outside.example/auto>",
  '| a |\n|---|\n| <img src="https://outside.example/t.png"> |',
  "[own](/inferd/live) [call](tel:1) [other](vbscript:x)\n\n- [x] done",
  "```html\n<script>alert(8)</script>\n```",
].join("\n\n");

browserTest("hostile text is shown and does nothing", async () => {
  await using bridge = await BridgeUnderTest.start({
    script: { tokens: [HOSTILE], thinking: [HOSTILE], calls: [{ name: "f", input: { x: HOSTILE } }] },
  });
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.state("ready");
  await page.getByText("Settings", { exact: true }).click();
  await page.getByLabel("Think first").check();
  await page.getByLabel("Tools, a JSON list of functions").fill('[{"name":"f"}]');
  await browser.send(HOSTILE);
  await browser.answered();
  await page.getByText("Thinking", { exact: true }).click();
  const found = await page.evaluate(messageParts);
  assertEquals(found.tags, ["a", "code", "li", "p", "pre", "table", "tbody", "td", "th", "thead", "tr", "ul"]);
  assertEquals([found.handlers, found.ids], [0, 0]);
  for (const [href, rel] of found.links) {
    assert(href === null || href.startsWith("https://outside.example/"), `${href}`);
    assertEquals(rel, "noopener noreferrer nofollow");
  }
  assert((await page.locator(".message.assistant").innerText()).includes("<img src=x onerror=alert(2)>"));
  browser.assertClean();
});

browserTest("the page runs nothing that is not its own, though something got into it", async () => {
  await using bridge = await BridgeUnderTest.start();
  await using browser = await BrowserUnderTest.open(bridge.url);
  const refused = await browser.page.evaluate(attack);
  for (const kind of ["innerHTML", "img-src", "connect-src", "style-src-attr", "policy"]) {
    assert(refused.includes(kind), `${kind} was not refused: ${refused}`);
  }
  for (const kind of ["broken", "fetched"]) assert(!refused.includes(kind), kind);
});

browserTest("what runs and waits is listed with its figures, and cancelled", async () => {
  await using served = await ControlledBridge.start({ daemon: { parallel: 1 } });
  const { backend, bridge } = served;
  await using browser = await BrowserUnderTest.open(`${bridge.url}/#activity`);
  const { page } = browser;
  const body = { messages: [{ role: "user", content: "hi" }] };
  const first = bridge.post("/v1/chat/completions", body);
  const run = await backend.next();
  run.say("one");
  const second = bridge.post("/v1/chat/completions", body);
  const row = (number: number): ReturnType<typeof page.locator> =>
    page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: String(number), exact: true }) });
  await row(1).getByText("running").waitFor();
  await row(2).getByText("waiting").waitFor();
  await page.getByRole("img", { name: "Queue: 1 waiting" }).waitFor();
  await page.getByRole("button", { name: "Cancel request 2" }).click();
  assertEquals((await second).status, 403);
  await page.getByRole("button", { name: "Cancel request 1" }).click();
  await run.cancelled;
  assertEquals((await first).json.error, {
    message: "The operator cancelled the request",
    type: "permission_error",
    param: null,
    code: "cancelled",
  });
  await page.getByText("No requests.").waitFor();
  await page.getByText("2 failed or cancelled since").waitFor();
  browser.assertClean();
});

browserTest("models, their abilities and events are shown, and no form where clients may not download", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { vision: true } });
  await using browser = await BrowserUnderTest.open(`${bridge.url}/#models`);
  const { page } = browser;
  const asked = page.waitForResponse("**/inferd/store");
  const card = page.locator("#models li");
  await card.getByText("images").waitFor();
  assert((await card.innerText()).includes("8192 tokens"));
  assertEquals(await (await asked).json(), { pull: false, models: [] });
  assertEquals(await page.getByLabel("Repository on Hugging Face").isVisible(), false);
  await page.getByRole("link", { name: "Events" }).click();
  await page.locator("#events").getByText("ready", { exact: true }).waitFor();
  browser.assertClean();
});

browserTest("a model is downloaded with the keyboard: progress, cancel, resume, and then it is listed", async () => {
  await using store = new TempStore();
  const content = modelBytes(100_000);
  await using hub = hubOf("Some-Q4_K_M.gguf", content, [{}, { stallAfter: 75_000 }]);
  await using bridge = await BridgeUnderTest.start({ http: { store: await pullStore(store, hub) } });
  await using browser = await BrowserUnderTest.open(`${bridge.url}/#models`);
  const { page } = browser;
  await page.getByText("The store is empty.").waitFor();
  const name = page.getByLabel("Repository on Hugging Face");
  await name.fill("hf.co/owner/Some-GGUF");
  await page.keyboard.press("Enter");
  const pulls = page.locator("#pulls li");
  await pulls.getByText("pulling Some-Q4_K_M 75 %").waitFor();
  const bar = page.getByRole("progressbar", { name: "Download of hf.co/owner/Some-GGUF" });
  assertEquals([await bar.getAttribute("value"), await bar.getAttribute("max")], ["75000", "100000"]);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assertEquals((await page.evaluate(focusedElement)).name, "Cancel the download of hf.co/owner/Some-GGUF");
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("cancelled; the next download resumes it").waitFor();
  // Before that, another download would join this one.
  await eventually("the end of the transfer", () => hub.open === 0);
  // Whoever pressed the button that is gone goes on in the form.
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("done, as Some-Q4_K_M").waitFor();
  await page.locator("#stored").getByText("Some-Q4_K_M").waitFor();
  assertEquals(hub.ranges.at(-1), "bytes=75000-");
  await name.fill("llama3");
  await page.keyboard.press("Enter");
  await pulls.getByText("Ollama's library is not known here").waitFor();
  assertEquals((await page.evaluate(accessibility)).unnamed, []);
  browser.assertClean();
});

browserTest("the page shows how far a download is while the daemon loads", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  const log = new LogRecorder();
  const board = new StatusBoard({ queue: () => ({ active: 0, waiting: 0, depth: 10 }) });
  const options = daemonOptions(dir, { runtimeDir: dir });
  const server = new AdminServer({ path: options.adminSocket, board, peers: undefined, log });
  try {
    await server.bind();
    const download = { phase: "download", total_bytes: 8e6, source_url: "https://models.example/a.gguf" } as const;
    board.loading({ ...download, downloaded_bytes: 2e6 });
    await using http = await startHttp({
      listen: { hostname: "127.0.0.1", port: 0 },
      daemon: placeOf(options),
      origins: [],
      aliases: {},
    });
    await using browser = await BrowserUnderTest.open(http.url);
    await browser.state("loading: download 2 MB of 8 MB");
    board.loading({ ...download, downloaded_bytes: 6e6 });
    await browser.state("loading: download 6 MB of 8 MB");
    const bar = browser.page.getByRole("progressbar", { name: "Download", exact: true });
    assertEquals([await bar.getAttribute("value"), await bar.getAttribute("max")], ["6000000", "8000000"]);
    board.ready();
    await browser.state("ready");
    assertEquals(await bar.count(), 0);
    browser.assertClean();
  } finally {
    await server[Symbol.asyncDispose]();
    await Deno.remove(dir, { recursive: true });
  }
});

browserTest("the page asks for the key where the server has one", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { apiKey: "sesame" } });
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.state("key needed");
  const field = page.getByLabel("This server requires an API key");
  await field.fill("wrong");
  await page.keyboard.press("Enter");
  await field.waitFor();
  await field.fill("sesame");
  await page.keyboard.press("Enter");
  await browser.state("ready");
  await browser.send("hi");
  await browser.answered();
  browser.assertClean();
});

for (const colorScheme of ["dark", "light"] as const) {
  browserTest(`text can be read in the ${colorScheme} scheme`, async () => {
    await using bridge = await BridgeUnderTest.start();
    await using browser = await BrowserUnderTest.open(bridge.url, { colorScheme });
    await browser.state("ready");
    await browser.send("hi");
    await browser.answered();
    for (const tab of ["chat", "activity", "models", "events"]) {
      await browser.page.goto(`${bridge.url}/#${tab}`);
      const { worst, isDark } = await browser.page.evaluate(contrasts);
      assertEquals(isDark, colorScheme === "dark");
      for (const [ratio, text] of worst) {
        assert(ratio >= 4.5, `${tab}: "${text}" has a contrast of ${ratio.toFixed(2)}`);
      }
    }
  });
}

browserTest("nothing is cut off in a narrow window", async () => {
  await using bridge = await BridgeUnderTest.start({
    script: { tokens: ["x".repeat(400), "\n\n```\n", "y".repeat(400), "\n```\n"] },
  });
  await using browser = await BrowserUnderTest.open(bridge.url, { width: 320, height: 640 });
  const { page } = browser;
  await browser.state("ready");
  await browser.send("hi");
  await browser.answered();
  for (const tab of ["chat", "activity", "models", "events"]) {
    await page.goto(`${bridge.url}/#${tab}`);
    assertEquals(await page.evaluate(pageWidth), 320, tab);
  }
  await page.goto(`${bridge.url}/#chat`);
  // What is asked for less often is folded away.
  assertEquals(await page.locator("#history").isVisible(), false);
  for (const name of ["Send", "New chat"]) {
    const box = await page.getByRole("button", { name }).boundingBox();
    assert(
      box !== null && box.x >= 0 && box.x + box.width <= 320 && box.y + box.height <= 640,
      `${name} is out of sight`,
    );
  }
  const log = await page.locator("#messages").boundingBox();
  assert(log !== null && log.height > 100, `The conversation has ${log?.height} pixels`);
});

browserTest("everything is reached by keyboard", async () => {
  await using served = await ControlledBridge.start();
  await using browser = await BrowserUnderTest.open(served.bridge.url);
  const { page } = browser;
  await browser.state("ready");
  const focused = async (): Promise<string> => (await page.evaluate(focusedElement)).name;
  // The page moves the focus a frame or more after what moves it.
  const comesTo = async (name: string, tag: string): Promise<void> => {
    const found = async (): Promise<string> => {
      const element = await page.evaluate(focusedElement);
      return `${element.tag} ${element.name}`;
    };
    for (let frame = 0; frame < 300 && await found() !== `${tag} ${name}`; frame++) {
      await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => resolve()))");
    }
    assertEquals(await found(), `${tag} ${name}`);
  };
  // The message is where one begins.
  await comesTo("Message", "textarea");
  await page.keyboard.type("hello");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("there");
  await page.keyboard.press("Enter");
  const run = await served.backend.next();
  assertEquals(run.request.messages[0]?.content, "hello\nthere");
  await page.keyboard.press("Escape");
  await run.cancelled;
  await browser.answered();
  const passed = new Set<string>();
  await page.locator(".skip").focus();
  for (let press = 0; press < 60; press++) {
    passed.add(await focused());
    await page.keyboard.press("Tab");
  }
  const wanted = ["Skip to the content", "Activity", "Events", "New chat", "History", "Export as JSON", "Settings"];
  for (const name of [...wanted, "Conversation", "Edit", "Retry", "Message", "Send", "hello", "Delete hello"]) {
    assert(passed.has(name), `"${name}" is not reached: ${[...passed].join(", ")}`);
  }
  await page.getByRole("link", { name: "Activity" }).focus();
  await page.keyboard.press("Enter");
  await comesTo("Activity", "h2");
  browser.assertClean();
});

browserTest("every control has a name, every id is one element's, and every part a heading", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { vision: true } });
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.send("hi");
  await browser.answered();
  await page.getByText("Settings", { exact: true }).click();
  const found = await page.evaluate(accessibility);
  assertEquals(found, {
    unnamed: [],
    twice: [],
    dangling: [],
    images: 0,
    language: "en",
    headings: 4,
    sections: 4,
  });
  // What a screen reader is told of an answer: that it has come, once.
  await page.getByRole("status").filter({ hasText: "The answer is complete" }).waitFor();
  assertEquals(await page.getByRole("log").getAttribute("aria-busy"), "false");
});

Deno.test("the page's files need no key and what they ask does; a foreign page may cancel nothing", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { apiKey: "sesame" } });
  const page = await bridge.get("/");
  assertEquals(page.status, 200);
  assert(!page.text.includes("style=") && !/<script(?![^>]* src=)/.test(page.text) && !/\son\w+=/.test(page.text));
  const policy = page.headers.get("content-security-policy") ?? "";
  assert(!policy.includes("unsafe") && policy.startsWith("default-src 'none'"), policy);
  assertEquals((await bridge.get("/page/main.js")).status, 200);
  assertEquals((await bridge.get("/page/../deno.json")).status, 401);
  assertEquals((await bridge.get("/inferd/live")).status, 401);
  const path = "/inferd/requests/1/cancel";
  const key = { Authorization: "Bearer sesame" };
  assertEquals((await bridge.post(path, "", {})).status, 401);
  assertEquals((await bridge.post(path, "", { ...key, Origin: "https://outside.example" })).status, 403);
  assertEquals((await bridge.post(path, "", key)).json, { found: false });
  assertEquals((await bridge.post("/inferd/requests/x/cancel", "", key)).status, 400);
});

browserTest("the page has the models in configured order, and forgets those that a reload removes", async () => {
  const staged = ["first", "second"].map((model) => new StagedBackend(model, { ...CONTROLLED_CAPABILITIES, model }));
  const backends = staged.map(({ name }) => ({ kind: "mock", name, script: {} }) as const);
  await using test = await DaemonUnderTest.start({ backends }, { backends: staged });
  await using server = await startHttp({
    listen: { hostname: "127.0.0.1", port: 0 },
    daemon: placeOf(test.options),
    origins: [],
    aliases: {},
  });
  await Promise.all(staged.map(({ started }) => started));
  await using browser = await BrowserUnderTest.open(server.url);
  const { page } = browser;
  const models = page.locator("#models > li");
  await page.getByRole("link", { name: "Models" }).click();
  staged[1]?.becomeReady();
  await models.filter({ hasText: "second" }).waitFor();
  staged[0]?.becomeReady();
  await models.filter({ hasText: "first" }).waitFor();
  await page.locator("#models > li:first-child").filter({ hasText: "first" }).waitFor();
  await test.daemon.ready;
  await test.daemon.reload(() => Promise.resolve({ ...test.options, backends: backends.slice(1) }));
  await models.filter({ hasText: "first" }).waitFor({ state: "detached" });
  assertEquals(await models.count(), 1);
  browser.assertClean();
});

Deno.test("a page that is open does not hold up the end of the server", async () => {
  await using bridge = await BridgeUnderTest.start();
  const server = await startHttp({
    listen: { hostname: "127.0.0.1", port: 0 },
    daemon: placeOf(bridge.daemon.options),
    origins: [],
    aliases: {},
  });
  const response = await fetch(`${server.url}/inferd/live`);
  const reader = response.body?.getReader();
  await reader?.read();
  const start = performance.now();
  await server.drain();
  assert(performance.now() - start < 5000);
  await reader?.cancel().catch(() => {});
});
