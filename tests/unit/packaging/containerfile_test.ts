/** The container's file, without building it: every file that it copies or runs is there, and every command and flag. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { ROOT } from "../../../packaging/copy.ts";
import { ROOTS } from "../../../packaging/rooms.ts";
import { serve } from "../../../src/cli/serve.ts";
import { status } from "../../../src/cli/status.ts";
import { SETTINGS } from "../../../src/config/schema.ts";

const lines = Deno.readTextFileSync(join(ROOT, "packaging/Containerfile")).replaceAll("\\\n", " ").split("\n");
const of = (instruction: string): string[] =>
  lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));

function words(text: string): string[] {
  return JSON.parse(text.slice(text.indexOf("["))) as string[];
}

Deno.test("the container copies files that are there, and runs files that it copies", () => {
  const copied = of("COPY").flatMap((line) => line.split(" ").slice(0, -1));
  for (const path of copied) assert(Deno.statSync(join(ROOT, path)), path);
  const run = [...of("RUN").join(" ").matchAll(/\S+\.ts/g)].map(([path]) => path);
  for (const path of [...run, ...words(of("ENTRYPOINT")[0] ?? "").filter((word) => word.endsWith(".ts"))]) {
    assert(copied.some((from) => path === from || path.startsWith(`${from}/`)), path);
    assert(Deno.statSync(join(ROOT, path)).isFile, path);
  }
  // Otherwise a process downloads its modules when it starts, as a user who may not write where they are kept.
  assertEquals(ROOTS.filter((path) => !path.startsWith("client/") && !run.includes(path)), []);
});

Deno.test("the container serves, and asks the daemon for its status, with flags that there are", () => {
  const [command, ...flags] = words(of("CMD")[0] ?? "");
  assertEquals(command, serve.name);
  const known = Object.values(SETTINGS).flatMap(({ names }) => "flag" in names ? [`--${names.flag}`] : []);
  for (const flag of flags) assert(known.includes(flag), flag);
  const health = words(of("HEALTHCHECK")[0] ?? "");
  const [asked, ...ofStatus] = health.slice(health.indexOf("main.ts") + 1);
  assertEquals(asked, status.name);
  for (const flag of ofStatus) assert(status.flags.some((one) => one.flag === flag), flag);
});
