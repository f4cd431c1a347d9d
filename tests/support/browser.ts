/**
 * A headless Chromium that looks at the page. Everything that must never happen there is collected: errors, what the
 * content security policy stops, and requests to anywhere but the server.
 */
import { assertEquals } from "@std/assert";
import { type Browser, chromium, type Page } from "npm:playwright-core@1.65.1";

/** Where Chromium may be. */
const PATHS = [
  Deno.env.get("INFERD_CHROMIUM") ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Chromium's program; `undefined` where there is none. */
export const CHROMIUM: string | undefined = PATHS.find(isFile);

/** How long anything in the page may take, in milliseconds; the machine may be busy. */
const PATIENCE_MS = 30_000;

/** How the page is looked at. */
export interface BrowserOptions {
  readonly colorScheme?: "dark" | "light";
  readonly width?: number;
  readonly height?: number;
}

/** A browser with the page open. */
export class BrowserUnderTest implements AsyncDisposable {
  readonly page: Page;
  /** What must not happen. */
  readonly problems: readonly string[];
  readonly #browser: Browser;

  private constructor(browser: Browser, page: Page, problems: readonly string[]) {
    this.#browser = browser;
    this.page = page;
    this.problems = problems;
  }

  /** Open the page. */
  static async open(url: string, options: BrowserOptions = {}): Promise<BrowserUnderTest> {
    const { colorScheme = "light", width = 1280, height = 800 } = options;
    const browser = await chromium.launch({
      ...(CHROMIUM === undefined ? {} : { executablePath: CHROMIUM }),
      // Root has no sandbox of Chromium's.
      args: Deno.uid() === 0 ? ["--no-sandbox"] : [],
      timeout: PATIENCE_MS,
    });
    const page = await browser.newPage({ colorScheme, viewport: { width, height } });
    page.setDefaultTimeout(PATIENCE_MS);
    const problems: string[] = [];
    const { origin } = new URL(url);
    page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
    page.on("console", (message) => {
      // A refusal of the server's is shown to the user; the browser repeats it here.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        problems.push(`console: ${message.text()}`);
      }
    });
    page.on("request", (request) => {
      const { protocol, origin: to } = new URL(request.url());
      if (to !== origin && protocol !== "data:" && protocol !== "blob:") problems.push(`request to ${request.url()}`);
    });
    page.on("dialog", (dialog) => {
      problems.push(`dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    await page.goto(url);
    return new BrowserUnderTest(browser, page, problems);
  }

  /** Write a message and send it. */
  async send(text: string): Promise<void> {
    await this.page.getByLabel("Message", { exact: true }).fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Resolves when the state in the page's head is this. */
  async state(text: string): Promise<void> {
    await this.page.locator("#state").getByText(text, { exact: true }).waitFor();
  }

  /** Resolves when the last answer is whole: it can be asked for again. */
  async answered(): Promise<void> {
    await this.page.locator(".message.assistant").last().getByRole("button", { name: "Retry" }).waitFor();
  }

  /** Nothing happened that must not. */
  assertClean(): void {
    assertEquals(this.problems, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}

/** A test that needs a browser; ignored, visibly, where there is none. */
export function browserTest(name: string, fn: () => Promise<void>): void {
  const why = CHROMIUM === undefined ? " (skipped: no Chromium here, set INFERD_CHROMIUM)" : "";
  Deno.test({ name: `${name}${why}`, ignore: CHROMIUM === undefined, fn });
}

function isFile(path: string): boolean {
  try {
    return path !== "" && Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
