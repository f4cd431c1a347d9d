/** `deno task install`: the command it writes, and what it leaves alone. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type Outcome, Sandbox } from "../support/program.ts";

const INSTALL = fromFileUrl(new URL("../../packaging/install.ts", import.meta.url));

function install(box: Sandbox, ...args: string[]): Promise<Outcome> {
  return box.run(args, { program: INSTALL });
}

Deno.test("deno task install writes a command that runs in any folder, and deno uninstall removes it", async () => {
  await using box = new Sandbox();
  const { code, stdout } = await install(box);
  assertEquals(code, 0);
  assertStringIncludes(stdout, `Wrote "${box.dir}/.deno/bin/inferd"`);
  assertStringIncludes(stdout, `export PATH="${box.dir}/.deno/bin:$PATH"`);
  assertEquals((await install(box)).code, 0); // Again, after an update.

  const run = async (command: string, ...args: string[]): Promise<string> => {
    // As npx says where it was started, in the checkout.
    const INIT_CWD = fromFileUrl(new URL("../../", import.meta.url));
    const env = { ...box.env, INIT_CWD, INFERD_CALLED_AS: "" };
    const { stdout } = await new Deno.Command(command, { args, env, cwd: "/", stderr: "null" }).output();
    return new TextDecoder().decode(stdout);
  };
  assertMatch(await run(`${box.dir}/.deno/bin/inferd`, "--version"), /^inferd \d/);
  assertStringIncludes(await run(`${box.dir}/.deno/bin/inferd`, "--help"), "Usage: inferd COMMAND");
  await run(Deno.execPath(), "uninstall", "-g", "inferd");
  assertEquals([...Deno.readDirSync(`${box.dir}/.deno/bin`)], []);
});

Deno.test("deno task install leaves another program of that name alone unless it is forced", async () => {
  await using box = new Sandbox();
  const file = `${box.dir}/.deno/bin/inferd`;
  await Deno.mkdir(`${box.dir}/.deno/bin`, { recursive: true });
  await Deno.writeTextFile(file, "something else");
  const { code, stderr } = await install(box);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `Cannot write "${file}": something else is there. Remove it, or pass --force`);
  assertEquals(await Deno.readTextFile(file), "something else");
  assertEquals((await install(box, "--force")).code, 0);
  assertStringIncludes(await Deno.readTextFile(file), "main.ts");
});

Deno.test("deno task install says what it needs where there is no home", async () => {
  await using box = new Sandbox();
  const { code, stderr } = await box.run([], { program: INSTALL, bare: true });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "neither HOME nor DENO_INSTALL_ROOT is set");
});
