import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ChildCommand, type ChildCommands, Children, OrderError } from "../../../src/monitor/children.ts";
import type { Report } from "../../../src/processes/orders.ts";
import { Mailbox } from "../../support/mailbox.ts";

/** A program that says on stderr what it was given, and ends at once or never. */
function says(then: "ends" | "waits"): ChildCommand {
  const script = `console.error(JSON.stringify([Deno.args, Deno.env.get("GIVEN"), Deno.env.get("HOME") ?? "none"]));
    if (${then === "waits"}) setInterval(() => {}, 1000);`;
  return {
    command: Deno.execPath(),
    args: ["eval", "--quiet", script, "fixed"],
    env: { GIVEN: "yes" },
    isNumbered: true,
    prints: "daemon",
  };
}

/** Children that are told what is written. */
class Told implements AsyncDisposable {
  readonly children: Children;
  readonly reports = new Mailbox<Report>();
  readonly obeyed: Promise<void>;
  readonly #orders = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
  readonly #writer = this.#orders.writable.getWriter();

  constructor(commands: ChildCommands) {
    this.children = new Children(commands, (report) => Promise.resolve(this.reports.put(report)));
    this.obeyed = this.children.obey(this.#orders.readable);
    this.obeyed.catch(() => {});
  }

  async say(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text)).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.obeyed.catch(() => {});
    await this.children.killAll();
  }
}

Deno.test("Children starts a fixed command with its number and an environment of its own, and tells of its life", async () => {
  await using told = new Told({ engine: says("ends") });
  await told.say("engine 7\n");
  const started = await told.reports.take();
  assert("pid" in started && started.pid > 0);
  assertEquals(await told.reports.take(), { number: 7, stderr: '[["fixed","7"],"yes","none"]' });
  assertEquals(await told.reports.take(), { number: 7, code: 0, signal: null });
});

Deno.test("Children kills the process of a number, and all at the end", async () => {
  await using told = new Told({ engine: says("waits"), libraries: says("waits") });
  await told.say("engine 1\nlibraries 2\n");
  const seen: Report[] = [];
  while (seen.filter((report) => "stderr" in report).length < 2) seen.push(await told.reports.take());
  await told.say("kill 3\nkill 1\n");
  assertEquals(await told.reports.take(), { number: 1, code: 137, signal: "SIGKILL" });
  await told.children.killAll();
  assertEquals(await told.reports.take(), { number: 2, code: 137, signal: "SIGKILL" });
});

Deno.test("Children says why a process cannot be started", async () => {
  await using told = new Told({ engine: { ...says("ends"), command: "/nowhere/deno" } });
  await told.say("engine 1\nhttp 2\n");
  const first = await told.reports.take();
  assert("failure" in first && first.number === 1 && first.error === "ENOENT", JSON.stringify(first));
  assertEquals(await told.reports.take(), { number: 2, failure: 'This daemon was started without "http"' });
});

for (const [what, text] of [["is not an order", "engine 1 --allow-all\n"], ["never ends", "e".repeat(100)]] as const) {
  Deno.test(`Children starts nothing more when it is told something that ${what}`, async () => {
    await using told = new Told({ engine: says("waits") });
    await told.say(text);
    await assertRejects(() => told.obeyed, OrderError, "other than an order");
  });
}

Deno.test("Children takes a number that is in use for a daemon that is not ours", async () => {
  await using told = new Told({ engine: says("waits") });
  await told.say("engine 1\nengine 1\n");
  await assertRejects(() => told.obeyed, OrderError, "The daemon ordered engine 1");
});
