/** README.md: whoever does what it says, in order and to the letter, gets what it says. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { admin } from "@inferd/client";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { freePort } from "../support/free_port.ts";
import { GuideReader } from "../support/guide.ts";
import { Hub } from "../support/hub.ts";
import { Sandbox } from "../support/program.ts";

const CHECKOUT = fromFileUrl(new URL("../../", import.meta.url));
const MODEL = Deno.readFileSync(BUILT_INS["inferd-tiny"].url);

Deno.test("README.md holds when it is followed", { ignore: Deno.build.os === "windows" }, async () => {
  await using hub = new Hub("Qwen/Qwen3-0.6B-GGUF", { "Qwen3-0.6B-Q8_0.gguf": MODEL.length }, MODEL);
  const address = `127.0.0.1:${freePort()}`;
  await using reader = new GuideReader(Deno.readTextFileSync(`${CHECKOUT}README.md`), {
    cwd: CHECKOUT,
    env: { HF_ENDPOINT: hub.url },
    substitutions: { "127.0.0.1:47325": address, "inferd serve --http": `inferd serve --http ${address}` },
  });
  const place = reader.place();
  place.write("~/app/deno.json", JSON.stringify({ imports: { "@inferd/client": `${CHECKOUT}client/mod.ts` } }));
  // The session at its top is one with a daemon that runs.
  await place.serve("inferd serve");
  await reader.follow();
  assertEquals(new URL(hub.requests.at(-1)?.url ?? "").pathname.split("/").at(-1), "Qwen3-0.6B-Q8_0.gguf");
});

const hasSocat = await isThere("socat");

for (const [where, xdg] of [["in a login session", "run"], ["without XDG_RUNTIME_DIR, as for root and on macOS", ""]]) {
  Deno.test(`the line for socat in README.md finds the daemon ${where}`, { ignore: !hasSocat }, async () => {
    const [, line = ""] = /^```sh\n(dir=[\s\S]*?)^```$/m.exec(Deno.readTextFileSync(`${CHECKOUT}README.md`)) ?? [];
    await using box = new Sandbox();
    const env = { ...box.env, XDG_RUNTIME_DIR: xdg === "" ? "" : `${box.dir}/${xdg}` };
    if (xdg !== "") await Deno.mkdir(env.XDG_RUNTIME_DIR);
    await using daemon = box.spawn(["serve"], { env });
    await admin({ path: `${box.dir}/${xdg === "" ? ".inferd/run" : "run/inferd"}/admin.sock` }).ready();
    const { stdout } = await new Deno.Command("bash", { args: ["-euc", line], env }).output();
    assertMatch(new TextDecoder().decode(stdout), /"type":"done","content":"Paris\."/);
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  });
}

/** Whether a program that knows `-V` is there. */
async function isThere(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["-V"], stdout: "null", stderr: "null" }).output()).success;
  } catch (error) {
    // Thrown at once, not by the promise.
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
