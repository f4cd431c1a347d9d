/** SIGHUP, as it comes to a daemon in a process of its own, with exactly its permissions. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { connect } from "@inferd/client";
import { BUILT_INS } from "../../src/models/built_in.ts";
import { Sandbox } from "../support/program.ts";

function backends(...names: string[]): unknown[] {
  return names.map((name) => ({ kind: "mock", name, script: { tokens: [`I am ${name}`] } }));
}

Deno.test("SIGHUP has the daemon serve what the configuration file says now, and a file that is wrong changes nothing", async () => {
  await using sandbox = new Sandbox();
  sandbox.configure({ backends: backends("one") });
  await using daemon = await sandbox.serve([], { permissions: await sandbox.exactPermissions() });
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

  sandbox.configure({ backends: backends("two") });
  daemon.kill("SIGHUP");
  await next("reloaded");
  assertEquals(await answer(), "I am two");

  sandbox.configure('{ "backends": [{ "kind": "moc" }] }');
  daemon.kill("SIGHUP");
  const { reason } = await next("reload_failed");
  assertStringIncludes(String(reason), "moc");
  assertEquals(await answer(), "I am two");
  // What the commands read is not what the daemon could not.
  sandbox.configure({});
  const { stdout, code } = await sandbox.run(["status"]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "not reloaded: ");
  await events.return?.();
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
});

Deno.test("reload waits for the new configuration, and tells why one cannot be used, also after an earlier failure", async () => {
  await using sandbox = new Sandbox();
  sandbox.configure({ backends: backends("one") });
  await using daemon = await sandbox.serve([], { permissions: await sandbox.exactPermissions() });
  await using client = await connect({ path: `${sandbox.runtimeDir}/infer.sock` });

  sandbox.configure({ backends: backends("two"), http: "127.0.0.1:0" });
  const { code, stdout, stderr } = await sandbox.run(["reload"]);
  assertEquals([code, stdout], [0, "Reloaded\n"], stderr);
  assertEquals(stderr, "Changed, but used only after a restart: http\n");
  assertEquals(await client.generate("Who?").text(), "I am two");

  // What the daemon finds out, not the command.
  sandbox.configure({ backends: [{ kind: "llamacpp", name: "two", model: { path: "/nonexistent/model.gguf" } }] });
  for (let attempt = 0; attempt < 2; attempt++) {
    const failed = await sandbox.run(["reload"]);
    assertEquals([failed.code, failed.stdout], [1, ""]);
    assertStringIncludes(failed.stderr, "inferd: Not reloaded: ");
    assertEquals(await client.generate("Who?").text(), "I am two");
  }
  // The failure that is known already is not this one's outcome.
  sandbox.configure({ backends: backends("three") });
  assertEquals((await sandbox.run(["reload"])).code, 0);
  assertEquals(await client.generate("Who?").text(), "I am three");

  sandbox.configure('{ "backends": [{ "kind": "moc" }] }');
  const refused = await sandbox.run(["reload"]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.stderr, "moc");
  sandbox.configure({});
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  const none = await sandbox.run(["reload"]);
  assertEquals(none.code, 2);
  assertStringIncludes(none.stderr, '"inferd serve" starts a daemon');
});

Deno.test("reload changes a model that is a file, its template and a remote server with exactly the permissions", async () => {
  await using sandbox = new Sandbox();
  await Deno.copyFile(BUILT_INS["inferd-tiny"].url, `${sandbox.dir}/own.gguf`);
  await Deno.writeTextFile(`${sandbox.dir}/own.jinja`, "{% for m in messages %}{{ m.content }}{% endfor %}");
  const own = { kind: "llamacpp", name: "own", model: { path: "../own.gguf" }, chat_template: "../own.jinja" };
  const far = { kind: "openai-compat", name: "far", base_url: "http://127.0.0.1:9/v1", model: "m", api_key_env: "FAR" };
  sandbox.configure({ backends: [{ ...own, n_ctx: 512 }, far] });
  const options = { env: { FAR: "sk-1" } };
  const flags = await sandbox.exactPermissions(options);
  await using daemon = await sandbox.serve([], { ...options, permissions: flags });
  sandbox.configure({ backends: [{ ...own, n_ctx: 256 }, { ...far, timeout_secs: 9 }] });
  const { code, stderr } = await sandbox.run(["reload"], options);
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes((await sandbox.run(["status"], options)).stdout, "256 tokens");
  daemon.kill("SIGTERM");
  await daemon.outcome;
});

Deno.test({
  name: "a FIFO in the place of the configuration, a key or a template is refused, and nobody waits for a writer",
  ignore: Deno.build.os === "windows",
  async fn(): Promise<void> {
    await using sandbox = new Sandbox();
    const [fifo, key] = [`${sandbox.dir}/fifo`, `${sandbox.dir}/key`];
    const config = `${sandbox.dir}/.inferd/config.json`;
    const makeFifo = async (path: string): Promise<void> => {
      assert((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
    };
    await makeFifo(fifo);
    const local = { kind: "llamacpp", name: "one", model: { name: "inferd-tiny" }, chat_template: fifo };
    sandbox.configure({ backends: [local] });
    const { code, stderr } = await sandbox.run(["serve"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, `inferd: Cannot read "${fifo}" of backend "one": it is not a regular file\n`);

    Deno.writeTextFileSync(key, "secret");
    sandbox.configure({ backends: backends("one"), api_key_file: key });
    await using daemon = await sandbox.serve([]);
    await using client = await connect({ path: `${sandbox.runtimeDir}/infer.sock` });
    const refused = async (): Promise<string> => {
      const told = sandbox.admin.watch()[Symbol.asyncIterator]();
      let isAsked = false;
      for (;;) {
        const { value, done } = await told.next();
        if (done) throw new Error("The admin stream has ended");
        if (isAsked && value.status === "reload_failed") {
          await told.return?.();
          return value.reason;
        }
        if (isAsked || value.status !== "ready") continue;
        isAsked = true;
        daemon.kill("SIGHUP");
      }
    };
    for (
      const [path, message] of [
        [key, `Cannot read the API key from "${key}"`],
        [config, `Cannot read "${config}"`],
      ] as const
    ) {
      Deno.removeSync(path);
      await makeFifo(path);
      assertEquals(await refused(), `${message}: it is not a regular file`);
      assertEquals(await client.generate("Who?").text(), "I am one");
    }
    assertEquals((await sandbox.run(["status"])).code, 2);
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});
