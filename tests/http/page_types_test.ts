/**
 * The page's modules are plain JavaScript with JSDoc, typed by the browser's library, which must not reach the rest of
 * the program: they are checked under a configuration of their own.
 */
import { assert } from "@std/assert";
import config from "../../deno.json" with { type: "json" };

const BROWSER = new URL("../../src/http/page/browser/", import.meta.url);
/** What tests run within it. */
const IN_PAGE = new URL("../support/in_page.js", import.meta.url);

Deno.test("the page's modules are typed", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  try {
    const own = {
      lock: false,
      compilerOptions: {
        ...config.compilerOptions,
        lib: ["dom", "dom.iterable", "dom.asynciterable", "esnext"],
        checkJs: true,
      },
      imports: { marked: config.imports.marked, dompurify: config.imports.dompurify },
    };
    await Deno.writeTextFile(`${dir}/deno.json`, JSON.stringify(own));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--config", `${dir}/deno.json`, new URL("main.js", BROWSER).href, IN_PAGE.href],
      env: { NO_COLOR: "1" },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
