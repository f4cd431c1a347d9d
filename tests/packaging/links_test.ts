/** Every link from one document of the repository to another leads somewhere, and so does its anchor. */
import { assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join, relative } from "@std/path";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const LINK = /\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g;

/** The repository's documents. */
function documents(): string[] {
  const { stdout } = new Deno.Command("git", { args: ["ls-files", "*.md"], cwd: ROOT }).outputSync();
  return new TextDecoder().decode(stdout).trim().split("\n").map((path) => join(ROOT, path));
}

/** Without what is in fences and code: that is not a link. */
function prose(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, "").replaceAll(/`[^`\n]*`/g, "");
}

/** The anchors of a document, as GitHub makes them of its headings. */
function anchors(text: string): Set<string> {
  const headings = text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/^#+ (.+)$/gm);
  return new Set(
    headings.map(([, heading = ""]) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").trim().replaceAll(" ", "-")
    ),
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("every link between the documents leads somewhere", () => {
  const broken: string[] = [];
  let count = 0;
  for (const file of documents()) {
    for (const [, link, attribute] of prose(Deno.readTextFileSync(file)).matchAll(LINK)) {
      const target = link ?? attribute ?? "";
      if (/^[a-z]+:/.test(target)) continue; // On the web.
      count++;
      const [path = "", anchor] = target.split("#");
      const at = path === "" ? file : join(dirname(file), path);
      const isGood = exists(at) && (anchor === undefined || anchors(Deno.readTextFileSync(at)).has(anchor));
      if (!isGood) broken.push(`${relative(ROOT, file)}: ${target}`);
    }
  }
  assertEquals(broken, []);
  assertEquals(count > 50, true, `${count} links`);
});
