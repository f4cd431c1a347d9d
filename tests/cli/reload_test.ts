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

Deno.test("reload waits for the new configuration, and tells why one cannot be used, also after an earlier failure", async () => {
  await using sandbox = new Sandbox();
  configure(sandbox, { backends: backends("one") });
  await using daemon = await sandbox.serve([], { permissions: await exactly(sandbox) });
  await using client = await connect({ path: `${sandbox.runtimeDir}/infer.sock` });

  configure(sandbox, { backends: backends("two"), http: "127.0.0.1:0" });
  const { code, stdout, stderr } = await sandbox.run(["reload"]);
  assertEquals([code, stdout], [0, "Reloaded\n"], stderr);
  assertEquals(stderr, "Changed, but used only after a restart: http\n");
  assertEquals(await client.generate("Who?").text(), "I am two");

  // What the daemon finds out, not the command.
  configure(sandbox, { backends: [{ kind: "llamacpp", name: "two", model: { path: "/nonexistent/model.gguf" } }] });
  for (let attempt = 0; attempt < 2; attempt++) {
    const failed = await sandbox.run(["reload"]);
    assertEquals([failed.code, failed.stdout], [1, ""]);
    assertStringIncludes(failed.stderr, "inferd: Not reloaded: ");
    assertEquals(await client.generate("Who?").text(), "I am two");
  }
  // The failure that is known already is not this one's outcome.
  configure(sandbox, { backends: backends("three") });
  assertEquals((await sandbox.run(["reload"])).code, 0);
  assertEquals(await client.generate("Who?").text(), "I am three");

  configure(sandbox, '{ "backends": [{ "kind": "moc" }] }');
  const refused = await sandbox.run(["reload"]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.stderr, "moc");
  configure(sandbox, {});
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  const none = await sandbox.run(["reload"]);
  assertEquals(none.code, 2);
  assertStringIncludes(none.stderr, '"inferd serve" starts a daemon');
});
