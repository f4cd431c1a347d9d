/**
 * Takes the screenshots of the page in docs/images, in headless Chromium with a daemon that runs the built-in model:
 * `deno task screenshots`.
 */
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../tests/support/bridges.ts";
import { type BrowserOptions, BrowserUnderTest, CHROMIUM } from "../tests/support/browser.ts";

const IMAGES = new URL("../docs/images/", import.meta.url);
/** Maximum size of a picture in bytes. */
const MOST_BYTES = 150_000;
const QUESTIONS = ["What is the capital of Norway?", "Tell me a short story."];
/** How long activity is recorded before its picture, in milliseconds, to fill the charts. */
const WATCHED_MS = 25_000;

if (CHROMIUM === undefined) {
  console.error("Cannot take pictures: there is no Chromium. Install it, or set INFERD_CHROMIUM");
  Deno.exit(1);
}
await Deno.mkdir(IMAGES, { recursive: true });
await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND], parallel: 2 } });

await picture("chat", { width: 1100, height: 640 }, talk);
await picture("phone", { width: 390, height: 700, colorScheme: "dark" }, talk);
await picture("activity", { width: 1100, height: 560, colorScheme: "dark" }, async (browser) => {
  await browser.page.getByRole("link", { name: "Activity" }).click();
  const ended = new AbortController();
  const load = [1, 2, 3, 4].map((number) => ask(number, ended.signal));
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
  await browser.page.getByText("waiting", { exact: true }).first().waitFor();
  return async () => {
    ended.abort();
    await Promise.all(load);
  };
});

async function talk(browser: BrowserUnderTest): Promise<void> {
  await browser.state("ready");
  const settings = browser.page.getByText("Settings", { exact: true });
  await settings.click();
  await browser.page.getByLabel("Temperature").fill("0");
  await settings.click();
  for (const question of QUESTIONS) {
    await browser.send(question);
    await browser.answered();
    await browser.page.locator(".message").nth(QUESTIONS.indexOf(question) * 2 + 1).waitFor();
  }
}

/** Take a picture once `prepare` has set up the page; its result is called afterwards. */
async function picture(
  name: string,
  options: BrowserOptions,
  prepare: (browser: BrowserUnderTest) => Promise<void | (() => Promise<void>)>,
): Promise<void> {
  await using browser = await BrowserUnderTest.open(bridge.url, options);
  const after = await prepare(browser);
  const path = new URL(`${name}.png`, IMAGES);
  const bytes = await browser.page.screenshot();
  await after?.();
  browser.assertClean();
  if (bytes.length > MOST_BYTES) throw new Error(`${name}.png has ${bytes.length} bytes, at most ${MOST_BYTES} may be`);
  await Deno.writeFile(path, bytes);
  console.log(`${path.pathname} ${bytes.length} bytes`);
}

/** Send requests until the signal fires. */
async function ask(number: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await fetch(`${bridge.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        messages: [{ role: "user", content: `Tell a story about ${number} ships.` }],
        temperature: 1,
        max_tokens: 900,
      }),
      signal,
    }).then((response) => response.body?.cancel(), () => {});
  }
}
