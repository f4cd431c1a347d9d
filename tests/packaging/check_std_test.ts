/** `deno task std` where there is nothing to check with. That it checks, CI shows where `INFERD_STD_DIR` is given. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { ROOT } from "../../packaging/copy.ts";

async function std(env: Record<string, string>): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(ROOT, "packaging/check_std.ts")],
    env: { INFERD_STD_DIR: "", ...env },
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("the check against the real @std packages says that it is skipped when no checkout is given", async () => {
  assertEquals(await std({}), {
    code: 0,
    stderr: "Not checked against the real @std packages: INFERD_STD_DIR names no checkout of denoland/std\n",
  });
});

Deno.test("the check against the real @std packages fails when what is given is no checkout", async () => {
  for (const folder of ["/nonexistent", join(ROOT, "docs"), join(ROOT, "deno.json")]) {
    assertEquals(await std({ INFERD_STD_DIR: folder }), {
      code: 1,
      stderr: `Cannot use INFERD_STD_DIR "${folder}": it is no checkout of denoland/std\n`,
    });
  }
});
