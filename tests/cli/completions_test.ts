/** `inferd completions`, asked as the shells ask. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Sandbox } from "../support/program.ts";

async function script(box: Sandbox, shell: string): Promise<string> {
  const { code, stdout, stderr } = await box.run(["completions", shell], { permissions: ["--no-prompt"] });
  assertEquals([code, stderr], [0, ""]);
  const path = `${box.dir}/completions.${shell}`;
  Deno.writeTextFileSync(path, stdout);
  return path;
}

/** Runs a shell; `undefined` where it is not installed. */
async function shell(name: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(name, { args: [...args] }).output();
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    assertEquals([success, text(stderr)], [true, ""]);
    return text(stdout).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.warn(`Not tested: there is no ${name} here`);
    return undefined;
  }
}

/** What is on the line, as bash takes it apart, and what it may become. */
const LINES: readonly (readonly [readonly string[], readonly string[]])[] = [
  [["inferd", "se"], ["serve", "service"]],
  [["inferd", "--para"], ["--parallel"]],
  [["inferd", "--log-level", ""], ["debug", "info", "warn", "error"]],
  [["inferd", "--log-level", "=", "w"], ["warn"]],
  [["inferd", "--log-level", "="], ["debug", "info", "warn", "error"]],
  [["inferd", "serve", "--backend", "l"], ["llamacpp"]],
  [["inferd", "service", "un"], ["uninstall"]],
  [["inferd", "service", "print", "--for", ""], ["systemd", "launchd"]],
  [["inferd", "doctor", "--js"], ["--json"]],
  [["inferd", "config", ""], ["print", "schema"]],
  [["inferd", "completions", "z"], ["zsh"]],
  [["inferd", "embed", "--task", "cl"], ["classification", "clustering"]],
  [["inferd", "status", "--parallel"], []],
  [["inferd", "serve", "--parallel", ""], []],
];

Deno.test("the completions for bash complete commands, flags, values and paths", async () => {
  await using box = new Sandbox();
  const path = await script(box, "bash");
  Deno.writeTextFileSync(`${box.dir}/a model.gguf`, "");
  const complete = (words: readonly string[]): Promise<string | undefined> =>
    shell("bash", [
      "--norc",
      "-c",
      'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _inferd; printf "%s\\n" "${COMPREPLY[@]}"',
      path,
      ...words,
    ]);
  for (const [words, expected] of LINES) {
    assertEquals([words, await complete(words)], [words, expected.join("\n")]);
  }
  const model = await complete(["inferd", "--model", `${box.dir}/a`]);
  assertEquals(model, `${box.dir}/a model.gguf`);
  // A command that takes a file, with flags before it or not.
  for (const words of [["inferd", "import"], ["inferd", "import", "--json"]]) {
    assertEquals(await complete([...words, `${box.dir}/a`]), `${box.dir}/a model.gguf`);
  }
});

Deno.test({
  name: "the completions for fish complete commands, flags and values",
  fn: async () => {
    await using box = new Sandbox();
    const path = await script(box, "fish");
    if (await shell("fish", ["--no-config", "-n", path]) === undefined) return;
    for (const [words, expected] of LINES) {
      if (words.includes("=")) continue;
      const found = await shell("fish", ["--no-config", "-c", `source ${path}; complete -C "${words.join(" ")}"`]);
      const names = (found ?? "").split("\n").filter((line) => line !== "").map((line) => line.split("\t")[0] ?? "");
      assertEquals([words, names.toSorted()], [words, expected.toSorted()]);
    }
  },
});

Deno.test("the completions for zsh are a script that zsh can read", async () => {
  await using box = new Sandbox();
  const path = await script(box, "zsh");
  await shell("zsh", ["-f", "-n", path]);
  assertStringIncludes(Deno.readTextFileSync(path), "'--log-level=[lowest level that is logged (default\\: info)]");
});

Deno.test("inferd completions exits with 2 when it does not know the shell", async () => {
  await using box = new Sandbox();
  for (const args of [[], ["tcsh"], ["toString"]]) {
    const { code, stdout, stderr } = await box.run(["completions", ...args]);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, "Use bash, zsh or fish");
  }
});
