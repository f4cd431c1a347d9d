import { BackendUnavailableError, connect } from "@inferd/client";
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { Sandbox } from "../support/program.ts";
import { everyTurn } from "../support/waiting.ts";
import { modeOf } from "../support/folders.ts";

const HANGING = ["--backend", "mock", "--mock-script", '{"count":3,"hangAt":1}'];

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("serve leaves only the lock file and exits with 0 when terminated", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve(["--backend", "mock"]);
  assertEquals(modeOf(box.runtimeDir), 0o700);
  assertEquals(modeOf(`${box.runtimeDir}/admin.sock`), 0o600);
  assertEquals(modeOf(`${box.runtimeDir}/infer.sock`), 0o660);
  assertEquals(Deno.readTextFileSync(`${box.runtimeDir}/inferd.pid`).trim(), String(daemon.pid));
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  assertEquals([...Deno.readDirSync(box.runtimeDir)].map(({ name }) => name), ["inferd.lock"]);
});

Deno.test("serve finishes what runs and refuses what is new when it drains", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve([
    "--backend",
    "mock",
    "--mock-script",
    '{"count":2,"delayMs":300}',
  ]);
  await using client = await connect({ path: `${box.runtimeDir}/infer.sock` });
  await client.generate("leaves an idle connection").result();
  const running = client.generate("hi")[Symbol.asyncIterator]();
  await running.next();
  const draining = (async (): Promise<void> => {
    for await (const event of box.admin.watch()) if (event.status === "draining") return;
  })();
  daemon.kill("SIGTERM");
  await draining;
  assertEquals((await running.next()).value.type, "text");
  assertEquals((await running.next()).value.stopReason, "end_turn");
  assertEquals((await daemon.outcome).code, 0);
});

Deno.test("serve cuts what still runs when the drain timeout is over", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve([...HANGING, "--drain-timeout", "0"]);
  await using client = await connect({ path: `${box.runtimeDir}/infer.sock` });
  const running = client.generate("hi")[Symbol.asyncIterator]();
  await running.next();
  daemon.kill("SIGTERM");
  await assertRejects(() => running.next(), BackendUnavailableError);
  assertEquals((await daemon.outcome).code, 0);
});

Deno.test("serve exits at once when another signal comes", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve([...HANGING, "--drain-timeout", "600"]);
  await using client = await connect({ path: `${box.runtimeDir}/infer.sock` });
  const running = client.generate("hi")[Symbol.asyncIterator]();
  await running.next();
  const draining = (async (): Promise<void> => {
    for await (const event of box.admin.watch()) if (event.status === "draining") return;
  })();
  daemon.kill("SIGTERM");
  await draining;
  daemon.kill("SIGINT");
  assertEquals((await daemon.outcome).code, 130);
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`serve drains, and does not end at once, when one ${signal} reaches it twice`, async () => {
    let ended = -1;
    // On a busy machine the second signal may come too late to be taken for the first; then it is tried again.
    for (let attempt = 0; attempt < 5 && ended !== 0; attempt++) {
      await using box = new Sandbox();
      await using daemon = await box.serve(["--backend", "mock", "--mock-script", '{"count":2,"delayMs":300}']);
      await using client = await connect({ path: `${box.runtimeDir}/infer.sock` });
      const running = client.generate("hi")[Symbol.asyncIterator]();
      await running.next();
      const whole = running.next().then(() => running.next()).then(
        ({ value }) => value.stopReason === "end_turn",
        () => false,
      );
      daemon.kill(signal);
      await daemon.stderr.has("draining");
      daemon.kill(signal);
      ended = (await daemon.outcome).code;
      assertEquals(await whole, ended === 0);
      assertEquals(ended === 0, !exists(`${box.runtimeDir}/inferd.pid`));
    }
    assertEquals(ended, 0);
  });

  Deno.test(`serve exits at once when ${signal} comes again`, async () => {
    await using box = new Sandbox();
    await using daemon = await box.serve([...HANGING, "--drain-timeout", "600"]);
    await using client = await connect({ path: `${box.runtimeDir}/infer.sock` });
    const running = client.generate("hi")[Symbol.asyncIterator]();
    await running.next();
    using _asking = everyTurn(() => {
      try {
        daemon.kill(signal);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // It has ended, which what it prints tells later.
      }
    });
    const outcome = await daemon.stderr.all;
    assertStringIncludes(outcome, "draining");
    assertEquals((await daemon.outcome).code, code);
  });
}

Deno.test("serve starts over what a killed daemon left behind when it is started again", async () => {
  await using box = new Sandbox();
  const first = await box.serve(["--backend", "mock"]);
  // Not `inferd serve`: its end closes the daemon's input first, upon which the daemon may still tidy up.
  Deno.kill(first.daemonPid, "SIGKILL");
  assertEquals((await first.outcome).code, 137);
  assertEquals(exists(`${box.runtimeDir}/infer.sock`), true);
  await using second = await box.serve(["--backend", "mock"]);
  assertEquals(Deno.readTextFileSync(`${box.runtimeDir}/inferd.pid`).trim(), String(second.pid));
});

Deno.test("serve starts again after the process that users signal was killed", async () => {
  await using box = new Sandbox();
  const first = await box.serve(["--backend", "mock"]);
  first.kill("SIGKILL");
  // Also the end of what the daemon prints, and so of the daemon.
  await first.outcome;
  await using second = await box.serve(["--backend", "mock"]);
  assertEquals(Deno.readTextFileSync(`${box.runtimeDir}/inferd.pid`).trim(), String(second.pid));
});

Deno.test("serve says on which ports it listens when it chose them itself", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve(["--backend", "mock", "--tcp", ":0", "--v2-tcp", "127.0.0.1:0"]);
  const [, one, two] = await daemon.stderr.match(/127\.0\.0\.1:(\d+) \(generation\)\n +127\.0\.0\.1:(\d+) \(/);
  await using client = await connect({
    tcp: { hostname: "127.0.0.1", port: Number(one), ports: { v2: Number(two) } },
  });
  const messages = [{ role: "user" as const, content: "hi" }];
  assertEquals((await client.generate({ messages }).text()).length > 0, true);
  assertEquals((await client.generate({ messages, thinking: false }).text()).length > 0, true);
});

Deno.test("serve exits with 1 and names the holder when another daemon has the lock", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve(["--backend", "mock"]);
  const second = await box.run(["serve", "--backend", "mock"]);
  assertEquals(second.code, 1);
  assertStringIncludes(second.stderr, `nother inferd daemon (pid ${daemon.pid}) holds`);
  assertEquals((await box.run(["status"])).code, 0);
});

for (const flag of ["--tcp", "--embed-tcp", "--http"]) {
  Deno.test(`serve refuses ${flag} that is open to others without a key before it loads anything`, async () => {
    await using box = new Sandbox();
    const { code, stderr } = await box.run(["serve", flag, "0.0.0.0:47399"]);
    assertEquals(code, 2, stderr);
    assertMatch(stderr, /^inferd: Cannot listen on "0\.0\.0\.0" without a key: [^\n]+\n$/);
    assertEquals(exists(box.runtimeDir), false);
  });
}

const CANNOT: readonly (readonly [string, string[], string])[] = [
  ["the model is missing", ["--model", "/nonexistent/model.gguf"], "/nonexistent/model.gguf"],
  ["the model is a folder", ["--model", "/tmp"], '"/tmp"'],
  ["the model is no GGUF", ["--model", new URL("../../deno.json", import.meta.url).pathname], "deno.json"],
  ["the socket is a folder", ["--backend", "mock", "--uds", "/tmp"], '"/tmp"'],
  ["the socket path is too long", ["--backend", "mock", "--uds", `/tmp/${"x".repeat(120)}`], "xxx"],
  ["it is never ready", ["--backend", "mock", "--mock-script", '{"neverReady":true}', "--ready-timeout", "1"], "1 s"],
];
for (const [when, args, message] of CANNOT) {
  Deno.test(`serve exits with 1, one reason and no socket when ${when}`, async () => {
    await using box = new Sandbox();
    const { code, stderr } = await box.run(["serve", ...args]);
    assertEquals(code, 1, stderr);
    const reasons = stderr.split("\n").filter((line) => line.startsWith("inferd: "));
    assertEquals(reasons.length, 1, stderr);
    assertStringIncludes(reasons[0] ?? "", message);
    assertEquals(exists(`${box.runtimeDir}/admin.sock`), false);
    assertEquals(exists(`${box.runtimeDir}/infer.sock`), false);
  });
}

Deno.test("serve exits with 0 when terminated before it is ready", async () => {
  await using box = new Sandbox();
  await using daemon = box.spawn(["serve", "--backend", "mock", "--mock-script", '{"neverReady":true}']);
  await daemon.stderr.has("starting");
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
});

Deno.test("serve exits with 0 when terminated before its daemon takes signals", async () => {
  let ended: readonly [number, string] = [-1, ""];
  // On a busy machine the signal may come before `serve` takes it itself; then it is tried again.
  for (let attempt = 0; attempt < 5 && ended[0] !== 0; attempt++) {
    await using box = new Sandbox();
    await using daemon = box.spawn(["serve", "--backend", "mock"]);
    await daemon.hasStartedDaemon();
    daemon.kill("SIGTERM");
    const { code, stderr } = await daemon.outcome;
    ended = [code, stderr];
  }
  assertEquals(ended, [0, ""]);
});

Deno.test("serve answers and survives its engine when it has exactly the permissions it asks for", async () => {
  await using box = new Sandbox();
  const { stdout } = await box.run(["permissions", "serve"]);
  const permissions = stdout.trim().split(" ");
  assertEquals(permissions.some((flag) => flag === "-A" || flag === "--allow-all" || !flag.includes("-")), false);
  await using daemon = await box.serve([], { permissions });
  const asked = ["generate", "--temperature", "0", "What is the capital of France?"];
  assertEquals((await box.run(asked)).stdout, "Paris.\n");

  const restarted = (async (): Promise<void> => {
    let seen = "";
    for await (const { status } of box.admin.watch()) {
      if (status === "ready" && seen === "restarting") return;
      if (status === "restarting") seen = status;
    }
  })();
  Deno.kill(daemon.enginePid, "SIGKILL");
  await restarted;
  assertEquals((await box.run(asked)).stdout, "Paris.\n");

  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
  const log = Deno.readTextFileSync(`${box.dir}/logs/inferd.ndjson`);
  if (Deno.build.os === "linux") assertStringIncludes(log, `"uid":${Deno.uid()}`);
});
