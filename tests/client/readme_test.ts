/** The programs that the packages' READMEs show: they are type-checked, and run against a daemon with the built-in model. */
import { assertEquals, assertMatch } from "@std/assert";
import { basename, fromFileUrl, join } from "@std/path";
import { Sandbox } from "../support/program.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const PROGRAM = /^```ts[^\n]*\n([\s\S]*?)^```$/gm;

Deno.test("the programs in the packages' READMEs compile and run", async (t) => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([]);
  const files = ["client", "packages/ai-sdk", "packages/langchain"].flatMap((folder) => {
    const programs = Deno.readTextFileSync(join(ROOT, folder, "README.md")).matchAll(PROGRAM);
    return programs.map(([, code = ""], index) => {
      const file = join(box.dir, `${folder.replaceAll("/", "-")}-${index + 1}.ts`);
      Deno.writeTextFileSync(file, code);
      return file;
    }).toArray();
  });
  const deno = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env: { ...box.env } }).output();
    const [out = "", err = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assertEquals(code, 0, out + err);
    return out;
  };
  const config = ["--quiet", "--config", join(ROOT, "deno.json")];
  await deno("check", ...config, ...files);
  for (const file of files) {
    await t.step(basename(file), async () => {
      assertMatch(await deno("run", "--no-check", "-A", ...config, file), /\S/);
    });
  }
});
