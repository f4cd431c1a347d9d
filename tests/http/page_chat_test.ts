/** Talking with a model on the page, in a browser. */
import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import { BridgeUnderTest } from "../support/bridges.ts";
import { browserTest, BrowserUnderTest } from "../support/browser.ts";
import { isAtEnd, isAwayFromEnd } from "../support/in_page.js";
import { ControlledBridge } from "../support/page_backend.ts";

/** One pixel. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

browserTest("an answer is shown as it comes, as Markdown, and is there after the page is loaded again", async () => {
  await using served = await ControlledBridge.start();
  const { backend, bridge } = served;
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.send("Hello there");
  const run = await backend.next();
  const answer = page.locator(".message.assistant");
  run.say("Some **bold** ");
  await answer.locator("strong", { hasText: "bold" }).waitFor();
  run.say("words\n\n- one\n- two\n\n```\ncode < here\n```\n");
  await answer.locator("pre", { hasText: "code < here" }).waitFor();
  assertEquals(await answer.locator("li").allInnerTexts(), ["one", "two"]);
  run.finish("end", { promptTokens: 3, completionTokens: 9, cachedTokens: 0 });
  await browser.answered();
  assert((await answer.locator("footer small").innerText()).startsWith("3 + 9 tokens"));
  await page.reload();
  await page.getByRole("button", { name: "Hello there", exact: true }).click();
  await page.locator(".message.assistant strong", { hasText: "bold" }).waitFor();
  browser.assertClean();
});

browserTest("the end of an answer stays in sight, unless its reader looks at something before", async () => {
  await using served = await ControlledBridge.start();
  await using browser = await BrowserUnderTest.open(served.bridge.url, { height: 500 });
  const { page } = browser;
  await browser.send("Tell me a lot");
  const first = await served.backend.next();
  for (let line = 0; line < 100; line++) first.say(`line ${line}\n\n`);
  first.finish();
  await browser.answered();
  await page.waitForFunction(isAtEnd);
  await browser.send("And more");
  const second = await served.backend.next();
  second.say("more\n\n");
  await page.getByText("more", { exact: true }).waitFor();
  await page.waitForFunction(isAtEnd);
  await page.locator("#messages").hover();
  await page.mouse.wheel(0, -500);
  await page.waitForFunction(isAwayFromEnd);
  const before = await page.locator("#messages").evaluate((log) => log.scrollTop);
  for (let line = 0; line < 100; line++) second.say(`more ${line}\n\n`);
  second.finish();
  await page.getByRole("button", { name: "Retry" }).nth(1).waitFor({ state: "attached" });
  assertEquals(await page.locator("#messages").evaluate((log) => log.scrollTop), before);
  browser.assertClean();
});

browserTest("an answer that is stopped in the middle is cancelled, kept, and can be asked for again", async () => {
  await using served = await ControlledBridge.start();
  const { backend, bridge } = served;
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.send("Count");
  const first = await backend.next();
  first.say("one two");
  await page.getByText("one two").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await first.cancelled;
  await browser.answered();
  const answer = page.locator(".message.assistant");
  await answer.locator("footer small", { hasText: "stopped" }).waitFor();
  await answer.getByText("one two").waitFor();
  await answer.getByRole("button", { name: "Retry" }).click();
  const second = await backend.next();
  second.say("three");
  second.finish();
  await browser.answered();
  await answer.getByText("three").waitFor();
  assertEquals(await page.locator(".message").count(), 2);
  browser.assertClean();
});

browserTest("a message that is edited takes the place of what came after it", async () => {
  await using served = await ControlledBridge.start();
  const { backend, bridge } = served;
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.send("first");
  const first = await backend.next();
  first.say("answer");
  first.finish();
  await browser.answered();
  await page.getByRole("button", { name: "Edit" }).click();
  const field = page.getByLabel("Message", { exact: true });
  assertEquals(await field.inputValue(), "first");
  await browser.send("second");
  const second = await backend.next();
  assertEquals(second.request.messages.map(({ content }) => content), ["second"]);
  second.finish();
  await browser.answered();
  assertEquals(await page.locator(".message.user .text").allInnerTexts(), ["second"]);
  browser.assertClean();
});

browserTest("the settings and the system prompt are sent, and kept in the browser", async () => {
  await using served = await ControlledBridge.start();
  const { backend, bridge } = served;
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await page.getByText("Settings", { exact: true }).click();
  await page.getByLabel("System prompt").fill("Be brief.");
  await page.getByLabel("Temperature").fill("0.5");
  await page.getByLabel("Seed").fill("7");
  await page.getByLabel("Maximum tokens").fill("12");
  await page.reload();
  await browser.send("hi");
  const run = await backend.next();
  const { request } = run;
  run.finish();
  assertEquals(request.messages[0]?.role, "system");
  assertEquals(request.sampling.temperature, 0.5);
  assertEquals(request.sampling.seed, 7);
  assertEquals(request.maxTokens, 12);
  await browser.answered();
  browser.assertClean();
});

browserTest("thinking is folded away, and a tool's call is shown and answered", async () => {
  await using bridge = await BridgeUnderTest.start({
    script: {
      thinking: ["Let me ", "think"],
      tokens: ["Sunny"],
      calls: [{ name: "weather", input: { city: "Oslo" } }],
    },
  });
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.state("ready");
  await page.getByText("Settings", { exact: true }).click();
  await page.getByLabel("Think first").check();
  const tools = page.getByLabel("Tools, a JSON list of functions");
  await tools.fill("{");
  await browser.send("How is the weather?");
  await page.getByText("The tools are not a JSON array").waitFor();
  await tools.fill('[{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]');
  await page.getByRole("button", { name: "Edit" }).click();
  await page.keyboard.press("Enter");
  await browser.answered();
  const answer = page.locator(".message.assistant").first();
  const thought = answer.getByText("Let me think");
  assertEquals(await thought.isVisible(), false);
  await answer.getByText("Thinking", { exact: true }).click();
  await thought.waitFor();
  const call = page.getByRole("region", { name: "Call of weather" });
  assert((await call.innerText()).includes('"city": "Oslo"'));
  await call.getByLabel("Result of weather").fill("12 degrees");
  await call.getByRole("button", { name: "Send result" }).click();
  await page.locator(".message.assistant").nth(1).getByRole("button", { name: "Retry" }).waitFor();
  assertEquals(await page.locator(".message.tool .text").innerText(), "12 degrees");
  browser.assertClean();
});

browserTest("images are taken where the model takes them", async () => {
  await using served = await ControlledBridge.start({ capabilities: { vision: true } });
  const { backend, bridge } = served;
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.state("ready");
  const buffer = Uint8Array.from(atob(PNG), (char) => char.charCodeAt(0));
  await page.getByLabel("Images").setInputFiles({
    name: "dot.png",
    mimeType: "image/png",
    buffer: Buffer.from(buffer),
  });
  await page.getByAltText("Image 1").waitFor();
  await browser.send("What is this?");
  const run = await backend.next();
  const content = run.request.messages.at(-1)?.content;
  assert(Array.isArray(content));
  assertEquals(content.map(({ type }) => type), ["media", "text"]);
  run.finish();
  await browser.answered();
  assertEquals(await page.locator(".message.user img").count(), 1);
  browser.assertClean();
});

browserTest("no images are offered where the model takes none", async () => {
  await using served = await ControlledBridge.start();
  const { bridge } = served;
  await using browser = await BrowserUnderTest.open(bridge.url);
  await browser.state("ready");
  assertEquals(await browser.page.getByLabel("Images").isVisible(), false);
});

browserTest("a conversation is exported as Markdown and as JSON, and deleted", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["An answer"] } });
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  await browser.send("A question");
  await browser.answered();
  for (const format of ["Markdown", "JSON"]) {
    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: `Export as ${format}` }).click();
    const text = await Deno.readTextFile(await (await downloading).path());
    assert(text.includes("A question") && text.includes("An answer"), text);
  }
  await page.getByRole("button", { name: "Delete A question" }).click();
  await page.locator(".message").first().waitFor({ state: "detached" });
  assertEquals(await page.locator("#history li").count(), 0);
  browser.assertClean();
});

browserTest("a full queue is told, and the message can be sent again", async () => {
  await using served = await ControlledBridge.start({ daemon: { parallel: 1, queueDepth: 0 } });
  const { backend, bridge } = served;
  await using browser = await BrowserUnderTest.open(bridge.url);
  const { page } = browser;
  const other = bridge.post("/v1/chat/completions", { messages: [{ role: "user", content: "hi" }] });
  const run = await backend.next();
  await browser.send("me too");
  await page.getByRole("alert").getByText("The queue is full").waitFor();
  run.finish();
  await other;
  await page.getByRole("button", { name: "Retry" }).click();
  const next = await backend.next();
  next.say("at last");
  next.finish();
  await browser.answered();
  await page.getByText("at last").waitFor();
  assertEquals(await page.getByRole("alert").getByText("The queue is full").count(), 0);
  browser.assertClean();
});
