/**
 * Prompts of all published families beside what their own templates render in Python. Needs `INFERD_LLAMA_CPP_DIR`, a
 * folder with llama.cpp's source, of the release that docs/operations.md names, and a Python with jinja2; skipped
 * without.
 */
import { assert, assertEquals } from "@std/assert";
import { type Answer, findPython } from "../support/jinja_reference.ts";
import { type Cell, compareAll } from "../support/published/comparison.ts";
import { CONVERSATIONS } from "../support/published/conversations.ts";
import { PUBLISHED } from "../support/published/facts.ts";

const folder = Deno.env.get("INFERD_LLAMA_CPP_DIR") ?? "";
const python = folder === "" ? undefined : await findPython();

/** Cells that differ, and why they may. */
interface Exception {
  readonly file: RegExp;
  readonly conversation: RegExp;
  readonly why: string;
}

const EXCEPTIONS: readonly Exception[] = [
  {
    file: /^moonshotai-Kimi-K2$/,
    conversation: /^two rounds$/,
    why: "It numbers the calls of each message anew, so that its results say another number than the reference gives",
  },
];

function equal(ours: Answer, theirs: Answer): boolean {
  return "text" in ours && "text" in theirs && ours.text === theirs.text;
}

/** Where both refuse, there is nothing to compare. */
function counts({ theirs }: Cell): boolean {
  return "text" in theirs;
}

function mark(cells: readonly Cell[], against: "theirs" | "documented"): string {
  return cells.map((cell) => !("text" in cell[against]) ? "-" : equal(cell.ours, cell[against]) ? "=" : "≠").join("");
}

function print(cells: readonly Cell[]): void {
  const names = Object.keys(CONVERSATIONS);
  console.log(`conversations: ${names.map((name, index) => `${index + 1} ${name}`).join(", ")}`);
  console.log("= equal, ≠ not, - refused by the template; two signs for each: without thinking and with it");
  for (const { file } of PUBLISHED) {
    const own = cells.filter((cell) => cell.file === file);
    const signs = names.map((name) => mark(own.filter(({ conversation }) => conversation === name), "theirs"));
    console.log(`${file.padEnd(50)} ${signs.join(" ")}`);
  }
}

function describe({ file, conversation, thinking, ours, theirs }: Cell): string {
  const where = `${file}, ${conversation}, ${thinking ? "thinking" : "not thinking"}`;
  if ("error" in ours || "error" in theirs) return `${where}: ${JSON.stringify(ours).slice(0, 300)}`;
  let at = 0;
  while (ours.text[at] === theirs.text[at]) at++;
  const part = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 60), at + 80));
  return `${where}: ${part(ours.text)} ≠ ${part(theirs.text)}`;
}

Deno.test({
  name: "prompts of all published families are what their own templates render",
  ignore: python === undefined,
  async fn(): Promise<void> {
    assert(python !== undefined);
    const cells = await compareAll(folder, python);
    print(cells);
    for (const against of ["theirs", "documented"] as const) {
      const counted = cells.filter((cell) => "text" in cell[against]);
      const same = counted.filter((cell) => equal(cell.ours, cell[against])).length;
      const what = against === "theirs" ? "the same variables" : "enable_thinking and what is documented";
      console.log(`${same} of ${counted.length} cells equal, given ${what}`);
      const files = new Map<string, number>();
      for (const { file } of counted.filter((cell) => !equal(cell.ours, cell[against]))) {
        files.set(file, (files.get(file) ?? 0) + 1);
      }
      console.log(`  not equal: ${[...files].map(([file, count]) => `${count} of ${file}`).join(", ") || "none"}`);
    }
    const counted = cells.filter(counts);
    const different = counted.filter(({ ours, theirs }) => !equal(ours, theirs));
    const unexplained = different.filter(({ file, conversation }) =>
      !EXCEPTIONS.some((it) => it.file.test(file) && it.conversation.test(conversation))
    );
    assertEquals(unexplained.map(describe), []);
    assert(
      counted.length - different.length >= 0.98 * counted.length,
      `${different.length} of ${counted.length} differ`,
    );
  },
});
