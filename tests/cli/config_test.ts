/** The configuration file, from a program started with it to its sockets. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Sandbox } from "../support/program.ts";

function write(box: Sandbox, config: unknown): string {
  const path = `${box.dir}/config.json`;
  Deno.writeTextFileSync(path, JSON.stringify(config));
  return path;
}

Deno.test("inferd serves the backends of its configuration file, and clients find it by the same file", async () => {
  await using box = new Sandbox();
  const config = write(box, {
    listen: { uds: "inferd/here.sock" },
    namespace: "n",
    parallel: 2,
    backends: [
      { kind: "mock", name: "first", script: { tokens: ["from the first"] } },
      { kind: "mock", name: "second", script: { tokens: ["from the second"] } },
    ],
  });
  await using _daemon = await box.serve(["--config", config]);
  const sockets = [...Deno.readDirSync(box.runtimeDir)].map(({ name }) => name).filter((name) => name.endsWith("k"));
  assertEquals(sockets.includes("here.sock"), true);
  const answer = await box.run(["generate", "hi"], { env: { INFERD_CONFIG: config } });
  assertEquals([answer.code, answer.stdout, answer.stderr], [0, "from the first\n", ""]);
  const status = await box.run(["status", "--json", "--config", config]);
  const { capabilities } = JSON.parse(status.stdout);
  assertEquals(capabilities.map(({ backend }: { backend: string }) => backend), ["first", "second"]);
});

Deno.test("inferd reads the configuration file at home when none is named, and a flag goes before it", async () => {
  await using box = new Sandbox();
  Deno.mkdirSync(`${box.dir}/.inferd`);
  Deno.writeTextFileSync(
    `${box.dir}/.inferd/config.json`,
    JSON.stringify({ queue_depth: 77, parallel: 9, backends: [{ kind: "mock", name: "at-home" }] }),
  );
  await using _daemon = await box.serve(["--queue-depth", "3"]);
  const [capabilities] = (await box.admin.snapshot()).capabilities;
  assertEquals([capabilities?.backend, capabilities?.parallel, capabilities?.queue?.depth], ["at-home", 9, 3]);
});

Deno.test("inferd exits with 2 and names the key when the configuration file is wrong", async () => {
  await using box = new Sandbox();
  const config = write(box, { backends: [{ kind: "mock", name: "a" }, { kind: "llamacpp", name: "b", n_ctx: 1 }] });
  for (const command of [["serve"], ["permissions"], ["status"], ["generate", "hi"]]) {
    const { code, stderr } = await box.run([...command, "--config", config]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, `inferd: Cannot use "${config}": backends[1].`);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  }
});

Deno.test("inferd exits with 2 when the configuration file that was named is not there", async () => {
  await using box = new Sandbox();
  const { code, stderr } = await box.run(["serve", "--config", "/nonexistent/c.json"]);
  assertEquals([code, stderr], [2, 'inferd: Cannot read "/nonexistent/c.json": there is no such file\n']);
});

Deno.test("the flags inferd permissions prints let a daemon and its clients read their configuration", async () => {
  await using box = new Sandbox();
  const config = write(box, { backends: [{ kind: "mock", name: "a", script: { tokens: ["yes"] } }] });
  const env = { INFERD_CONFIG: config };
  const flags = async (role: string): Promise<string[]> =>
    (await box.run(["permissions", role], { env })).stdout.trim().split(" ");
  await using _daemon = await box.serve([], { env, permissions: await flags("serve") });
  const answer = await box.run(["generate", "hi"], { env, permissions: await flags("client") });
  assertEquals([answer.code, answer.stdout, answer.stderr], [0, "yes\n", ""]);
});
