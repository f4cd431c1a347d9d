/** SIGHUP, as it comes to a daemon in a process of its own, with exactly its permissions. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { connect } from "@inferd/client";
import { Sandbox } from "../support/program.ts";

/** The configuration file of a sandbox. */
function configure(sandbox: Sandbox, config: unknown): void {
  Deno.mkdirSync(`${sandbox.dir}/.inferd`, { recursive: true });
  Deno.writeTextFileSync(
    `${sandbox.dir}/.inferd/config.json`,
    typeof config === "string" ? config : JSON.stringify(config),
  );
}

function backends(...names: string[]): unknown[] {
  return names.map((name) => ({ kind: "mock", name, script: { tokens: [`I am ${name}`] } }));
}

/** The exact flags of the daemon. */
async function exactly(sandbox: Sandbox): Promise<string[]> {
  const { stdout } = await sandbox.run(["permissions", "serve"]);
  return stdout.trim().split(" ");
}

Deno.test("SIGHUP has the daemon serve what the configuration file says now, and a file that is wrong changes nothing", async () => {
  await using sandbox = new Sandbox();
  configure(sandbox, { backends: backends("one") });
  await using daemon = await sandbox.serve([], { permissions: await exactly(sandbox) });
  const events = sandbox.admin.watch()[Symbol.asyncIterator]();
  const next = async (wanted: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const { value, done } = await events.next();
      if (done) throw new Error("The admin stream has ended");
      if (value.status === wanted) return value as unknown as Record<string, unknown>;
    }
  };
  await next("ready");
  await using client = await connect({ path: `${sandbox.runtimeDir}/infer.sock` });
  const answer = async (): Promise<string> => await client.generate("Who?").text();
  assertEquals(await answer(), "I am one");

  configure(sandbox, { backends: backends("two") });
  daemon.kill("SIGHUP");
  await next("reloaded");
  assertEquals(await answer(), "I am two");

  configure(sandbox, '{ "backends": [{ "kind": "moc" }] }');
  daemon.kill("SIGHUP");
  const { reason } = await next("reload_failed");
  assertStringIncludes(String(reason), "moc");
  assertEquals(await answer(), "I am two");
  // What the commands read is not what the daemon could not.
  configure(sandbox, {});
  const { stdout, code } = await sandbox.run(["status"]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "not reloaded: ");
  await events.return?.();
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
});
