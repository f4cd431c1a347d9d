/** Stopping daemons, looking at them from outside, and what is left of the program. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { Sandbox } from "../support/program.ts";

const MOCK = ["--backend", "mock"];

Deno.test("inferd stop --all ends every daemon of the user, and says where there is none", async () => {
  await using box = new Sandbox();
  await using first = await box.serve(MOCK);
  // As from a session without a runtime directory.
  await using second = box.spawn(["serve", ...MOCK], { env: { XDG_RUNTIME_DIR: "" } });
  await second.stderr.has("inferd is ready");
  const stopped = await box.run(["stop", "--all"]);
  assertEquals([stopped.code, stopped.stderr], [0, ""]);
  const pids = [...stopped.stdout.matchAll(/^Stopped process (\d+) /gm)].map(([, pid]) => Number(pid));
  assertEquals(pids.toSorted(), [first.pid, second.pid].toSorted());
  for (const daemon of [first, second]) assertEquals((await daemon.outcome).code, 0);
  for (const args of [["stop", "--all"], ["stop"]]) {
    assertEquals(await box.run(args), { code: 2, stdout: "", stderr: "inferd: No daemon is running\n" });
  }
});

Deno.test("inferd stop and reload say in one line what is wrong with the pid file", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve(MOCK);
  const path = `${box.runtimeDir}/inferd.pid`;
  for (
    const [content, message] of [
      ["nonsense", `inferd: "${path}" does not contain a process id\n`],
      ["999999999", "inferd: Cannot signal process 999999999: "],
    ] as const
  ) {
    Deno.writeTextFileSync(path, content);
    for (const command of ["stop", "reload"]) {
      const { code, stderr } = await box.run([command]);
      assertEquals([code, stderr.slice(0, message.length), stderr.split("\n").length], [1, message, 2]);
    }
  }
});

Deno.test("inferd ps tells how fast a backend answers, and since when it and the daemon run", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([...MOCK, "--mock-script", '{"count":20,"delayMs":2}']);
  const idle = await box.run(["ps"]);
  assertMatch(
    idle.stdout,
    /^MODEL +BACKEND +STATE +ON +MEMORY +CONTEXT +RUNNING +TOKENS\/S +UPTIME\n.* 0 of 4 +- +[\d.]+ m?s\n/,
  );
  assertMatch((await box.run(["status"])).stdout, /^uptime +[\d.]+ m?s$/m);
  assertMatch(idle.stdout, /^The daemon has been running for [\d.]+ m?s$/m);
  assertEquals((await box.run(["generate", "hi"])).code, 0);
  const [{ tokens_per_second: speed, uptime_seconds: up }] = JSON.parse((await box.run(["ps", "--json"])).stdout);
  assert(speed > 1 && speed < 1000, `${speed} tokens/s`);
  assert(up >= 0 && up < 600, `${up} s`);
});

Deno.test("inferd uninstall says what is left where, removes nothing, and its commands work", async () => {
  await using box = new Sandbox();
  const store = `${box.dir}/my models`;
  const bin = `${box.dir}/bin`;
  const PATH = `${bin}:${Deno.env.get("PATH")}`;
  const env = { MODELS_HOME: store, XDG_CONFIG_HOME: `${box.dir}/.config`, PATH };
  Deno.mkdirSync(bin);
  Deno.writeTextFileSync(`${bin}/inferd`, "");
  const unit = `${box.dir}/.config/systemd/user/inferd.service`;
  Deno.mkdirSync(`${box.dir}/.config/systemd/user`, { recursive: true });
  Deno.writeTextFileSync(unit, "");
  Deno.mkdirSync(`${box.dir}/.inferd`);
  Deno.writeTextFileSync(`${box.dir}/.inferd/chat_history`, "x".repeat(2048));
  Deno.mkdirSync(store);
  const { code, stdout, stderr } = await box.run(["uninstall"], { env });
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes(stdout, "  inferd stop --all\n");
  if (Deno.build.os === "linux") assertStringIncludes(stdout, `("${unit}")\n  inferd service uninstall\n`);
  assertStringIncludes(stdout, `("${box.dir}/.inferd", 2 kiB)\n  rm -r ${box.dir}/.inferd\n`);
  assertStringIncludes(stdout, `  rm -r '${store}'\n`);
  assertStringIncludes(stdout, `  rm ${bin}/inferd\n`);
  assertEquals([...Deno.readDirSync(box.dir)].map(({ name }) => name).toSorted(), [
    ".config",
    ".inferd",
    "bin",
    "my models",
  ]);
  const list: { what: string; path: string | null; remove: string }[] = JSON.parse(
    (await box.run(["uninstall", "--json"], { env })).stdout,
  );
  // The checkout and the daemons of whoever runs the tests stay.
  for (const { path, remove } of list.filter(({ path }) => path?.startsWith(box.dir) && path !== unit)) {
    await new Deno.Command("sh", { args: ["-c", remove] }).output();
    assertThrows(() => Deno.lstatSync(path ?? ""), Deno.errors.NotFound);
  }
});
