import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ScriptedServer } from "../client/support.ts";
import { type Outcome, Sandbox } from "../support/program.ts";

const MOCK = ["--backend", "mock"];

function assertOneLine(outcome: Outcome, code: number, message: string): void {
  assertEquals(outcome.code, code, outcome.stderr);
  assertStringIncludes(outcome.stderr, message);
  assertEquals(outcome.stderr.trimEnd().split("\n").length, 1, outcome.stderr);
  assertEquals(outcome.stdout, "");
}

/** Start the program with its output into something else. */
async function runInto(redirection: string, args: readonly string[]): Promise<{ code: number; stderr: string }> {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const command = [Deno.execPath(), "run", "--quiet", "-A", main, ...args].map((word) => `'${word}'`).join(" ");
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", `exec ${command} ${redirection}`],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test(
  "inferd says on one line that its output cannot be written",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    for (const args of [["--help"], ["config", "schema"], ["completions", "bash"]]) {
      assertEquals(await runInto("> /dev/full", args), {
        code: 1,
        stderr: "inferd: No space left on device (os error 28)\n",
      });
    }
  },
);

Deno.test("inferd says nothing when nobody reads its output", { ignore: Deno.build.os === "windows" }, async () => {
  await using box = new Sandbox();
  // A pipe whose reader is gone before anything is written.
  const pipe = `${box.dir}/pipe`;
  await new Deno.Command("mkfifo", { args: [pipe] }).output();
  assertEquals(await runInto(`3<> '${pipe}' > '${pipe}' 3<&-`, ["config", "schema"]), { code: 0, stderr: "" });
});

Deno.test("inferd explains itself when asked for help or version", async () => {
  await using box = new Sandbox();
  const help = await box.run(["--help"]);
  assertEquals(help.code, 0);
  for (const command of ["serve", "status", "watch", "generate", "permissions"]) {
    assertStringIncludes(help.stdout, `  ${command} `);
    const own = await box.run([command, "--help"]);
    assertEquals([own.code, own.stderr], [0, ""]);
    assertStringIncludes(own.stdout, "Exit codes:");
  }
  for (const version of ["--version", "-v", "version"]) {
    assertMatch((await box.run([version])).stdout, /^inferd \d+\.\d+\.\d+\n$/);
  }
  assertEquals((await box.run(["help", "generate"])).stdout, (await box.run(["generate", "--help"])).stdout);
  const { stdout } = await box.run(["generate", "--help"], {
    env: { INFERD_CALLED_AS: "", INIT_CWD: new URL("../..", import.meta.url).pathname.slice(0, -1) },
  });
  assertMatch(stdout, /^Usage: (npx --yes )?deno task generate /);
  // What one needs comes first, and where the daemon is last.
  const order = ["Examples:", "Flags:", "Sampling flags:", "Connection flags:"].map((title) => stdout.indexOf(title));
  assertEquals(order, order.toSorted((one, other) => one - other));
});

const WRONG: readonly (readonly [string[], string])[] = [
  [["sevre"], 'Unknown command "sevre"'],
  [["--paralel", "2"], 'Unknown flag "--paralel"'],
  [["serve", "now"], 'Unexpected argument "now"'],
  [["status", "--tcp", "x"], 'Unknown flag "--tcp"'],
  [["generate", "--temperature", "9", "hi"], '--temperature must be a number from 0 to 2, got "9"'],
  [["generate", "--max-tokens", "0", "hi"], "--max-tokens must be a whole number from 1"],
  [["generate", "--min-p", "1.5", "hi"], "--min-p must be a number from 0 to 1"],
  [["generate", "--presence-penalty=-3", "hi"], "--presence-penalty must be a number from -2 to 2"],
  [["chat", "--repeat-penalty", "3"], "--repeat-penalty must be a number above 0, at most 2"],
  [["generate", "--top-p", "0", "hi"], "--top-p must be a number above 0, at most 1"],
  [["generate", " "], "The prompt is empty"],
  [["generate", "--uds", "/x", "--tcp", "--", "hi"], "--uds and --tcp exclude each other"],
  [["generate", "--uds", `/${"x".repeat(200)}`, "hi"], "as a socket path"],
  [["embed", "--task", "search", "hi"], "--task must be one of retrieval_query"],
  [["embed", "--dimensions", "0", "hi"], "--dimensions must be a whole number from 1"],
  [["embed", "hi", ""], "Text 2 is empty"],
  [["rerank"], "The query is empty"],
  [["rerank", "hi", ""], "Document 1 is empty"],
  [["rerank", "--top-n", "0", "hi", "there"], "--top-n must be a whole number from 1"],
  [["serve", "--n-ctx", "-5"], '--n-ctx must be a whole number from 16 to 10000000, got "-5"'],
  [["serve", "-m", "x"], 'Unknown flag "-m"; did you mean "--model"?'],
  [["list"], 'Unknown command "list"; did you mean "models"?'],
  [["completions"], "No shell given. Use bash, zsh or fish"],
  [["completions", "tcsh"], 'Unknown shell "tcsh". Use bash, zsh or fish'],
  [["chat", "hi"], 'Unexpected argument "hi"'],
  [["permissions", "root"], "Use serve, daemon, engine, fetcher, client, http or doctor"],
];
for (const [args, message] of WRONG) {
  Deno.test(`inferd exits with 2 and one line when called with ${args.join(" ").slice(0, 60)}`, async () => {
    await using box = new Sandbox();
    assertOneLine(await box.run(args), 2, message);
  });
}

for (
  const args of [
    ["status"],
    ["status", "--json"],
    ["watch"],
    ["generate", "hi"],
    ["generate", "--tcp", "127.0.0.1:1", "hi"],
    ["embed", "hi"],
    ["rerank", "hi", "there"],
    ["chat"],
  ]
) {
  Deno.test(`inferd ${args.join(" ")} exits with 2 when there is no daemon`, async () => {
    await using box = new Sandbox();
    assertOneLine(await box.run(args), 2, '"inferd serve" starts a daemon');
  });
}

Deno.test("inferd generate prints the answer when the prompt is an argument or on stdin", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([...MOCK, "--mock-script", '{"tokens":["one ","two"]}']);
  assertEquals(await box.run(["generate", "hi"]), { code: 0, stdout: "one two\n", stderr: "" });
  assertEquals(await box.run(["generate"], { stdin: "hi\n" }), { code: 0, stdout: "one two\n", stderr: "" });
  const json = await box.run(["generate", "--json", "hi", "there"]);
  assertEquals(JSON.parse(json.stdout).content, "one two");
});

Deno.test("inferd generate exits with 1 and the code when the daemon answers with an error", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([...MOCK, "--mock-script", '{"failAt":2,"count":5}']);
  const failed = await box.run(["generate", "hi"]);
  assertEquals(failed.code, 1);
  assertStringIncludes(failed.stderr, "inferd: backend_unavailable: ");
  // On a terminal the error would stand behind the answer otherwise.
  assertMatch(failed.stdout, /\S\s*\n$/);
});

Deno.test("inferd generate waits when the daemon is still loading", async () => {
  await using box = new Sandbox();
  await using daemon = box.spawn(["serve", ...MOCK, "--mock-script", '{"neverReady":true}']);
  await daemon.stderr.has("starting");
  await using waiting = box.spawn(["generate", "hi"]);
  const [, state] = await waiting.stderr.match(/The daemon is not ready yet \((\w+)\), waiting/);
  assertEquals(state, "starting");
});

Deno.test("inferd generate exits with 2 at once when the daemon is ready but its socket is elsewhere", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve(MOCK);
  assertOneLine(await box.run(["generate", "--uds", `${box.dir}/none.sock`, "hi"]), 2, "there is no such socket");
});

Deno.test("inferd status tells state, model and queue when the daemon is ready", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve([...MOCK, "--parallel", "3", "--queue-depth", "7"]);
  const plain = await box.run(["status"]);
  assertEquals([plain.code, plain.stderr], [0, ""]);
  assertMatch(plain.stdout, /^state +ready\nbackend +mock: text, tools, thinking, embeddings, rerank\n/);
  assertStringIncludes(plain.stdout, "3 requests together");
  assertStringIncludes(plain.stdout, "0 active, 0 of 7 waiting");
  const json = JSON.parse((await box.run(["status", "--json"])).stdout);
  assertEquals(json.status, "ready");
  assertEquals(json.capabilities[0].queue, { active: 0, waiting: 0, depth: 7 });
});

Deno.test("inferd status and watch tell in one line that a chat template cannot be used", async () => {
  await using box = new Sandbox();
  Deno.mkdirSync(box.runtimeDir, { mode: 0o700 });
  const head = { id: "admin", type: "status" } as const;
  const able = { v2: true, vision: false, audio: false, tools: false, thinking: false, embed: false };
  const template_error = { message: 'Unknown filter "groupby"\n{{ x | groupby }}', line: 12, format: "chatml" };
  const known = { backend: "llamacpp", ...able, accelerator: "cpu", gpu_layers: 0, model: "some-model" };
  const capabilities = { ...head, status: "capabilities", ...known, template_error };
  await using _server = new ScriptedServer(async (peer) => {
    await peer.send(capabilities, { ...head, status: "ready" });
    await peer.line();
  }, { path: `${box.runtimeDir}/admin.sock` });
  const { stdout } = await box.run(["status"]);
  assertEquals(stdout.split("\n").slice(1, 4), [
    "backend  llamacpp on cpu: text",
    "model    some-model",
    'template cannot be used (line 12: Unknown filter "groupby" {{ x | groupby }}); conversations are written as chatml',
  ]);
  assertEquals(JSON.parse((await box.run(["status", "--json"])).stdout).capabilities, [capabilities]);
  const [line] = (await box.run(["watch"])).stdout.split("\n");
  assertStringIncludes(line ?? "", `template cannot be used (line 12: Unknown filter "groupby" {{ x | groupby }})`);
});

Deno.test("inferd status and watch tell that the log has stopped when it has", async () => {
  await using box = new Sandbox();
  Deno.mkdirSync(box.runtimeDir, { mode: 0o700 });
  const head = { id: "admin", type: "status" } as const;
  const stopped = { ...head, status: "log_stopped", reason: "Cannot write: No space left" };
  await using _server = new ScriptedServer(async (peer) => {
    await peer.send(stopped, { ...head, status: "ready" });
    await peer.line();
  }, { path: `${box.runtimeDir}/admin.sock` });
  const { code, stdout } = await box.run(["status"]);
  assertEquals([code, stdout], [0, "state    ready\nlog      stopped: Cannot write: No space left\n"]);
  const json = JSON.parse((await box.run(["status", "--json"])).stdout);
  assertEquals([json.status, json.log_stopped], ["ready", { reason: stopped.reason }]);
  const watched = (await box.run(["watch"])).stdout.split("\n");
  assertMatch(watched[0] ?? "", / log_stopped Cannot write: No space left$/);
  const frames = (await box.run(["watch", "--json"])).stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(frames, [stopped, { ...head, status: "ready" }]);
});

Deno.test("inferd status says which backend is down, and agrees with the daemon on whether it is ready", async () => {
  await using box = new Sandbox();
  Deno.mkdirSync(box.runtimeDir, { mode: 0o700 });
  const head = { id: "admin", type: "status" } as const;
  const able = { v2: true, vision: false, audio: false, tools: false, thinking: false, embed: false };
  const lost = {
    ...head,
    status: "capabilities",
    backend: "far",
    ...able,
    accelerator: "cpu",
    gpu_layers: 0,
    state: "down",
  };
  const states = [
    [{ status: "ready" }, "ready"],
    [{ status: "restarting", phase: "mmap", path: "/m" }, "restarting (mmap)"],
    [{ status: "loading_model", phase: "mmap", path: "/m", progress: 0.43 }, "loading_model (loading weights, 43 %)"],
  ] as const;
  for (const [state, shown] of states) {
    await using _server = new ScriptedServer(async (peer) => {
      await peer.send(lost, { ...head, ...state });
    }, { path: `${box.runtimeDir}/admin.sock` });
    const { code, stdout } = await box.run(["status"]);
    const ready = await box.admin.ready({ timeoutMs: 0 }).then(() => 0, () => 1);
    assertEquals(code, ready);
    assertEquals(stdout.split("\n").slice(0, 2), [
      `state    ${shown}`,
      "backend  far on cpu: text (down)",
    ]);
    const json = JSON.parse((await box.run(["status", "--json"])).stdout);
    assertEquals(json, { ...head, ...state, capabilities: [lost] });
  }
});

Deno.test("inferd watch --json prints the admin frames when the daemon ends", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve(MOCK);
  await using watching = box.spawn(["watch", "--json"]);
  await watching.stdout.has('"ready"');
  daemon.kill("SIGTERM");
  const { code, stdout } = await watching.outcome;
  assertEquals(code, 0);
  const frames = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(frames.map(({ status }) => status), ["capabilities", "ready", "draining"]);
  assertEquals(stdout.split("\n")[1], '{"id":"admin","type":"status","status":"ready"}');
});

Deno.test("inferd watch says how far weights are loaded, a few times only", async () => {
  await using box = new Sandbox();
  const head = { id: "admin", type: "status" } as const;
  Deno.mkdirSync(box.runtimeDir, { mode: 0o700 });
  const loading = { ...head, status: "loading_model", phase: "mmap", path: "/models/m.gguf" } as const;
  await using _server = new ScriptedServer(async (peer) => {
    // What is unread when it closes would take the frames with it.
    await peer.line();
    await peer.send(loading);
    for (const progress of [0.434, 0.5, 0.6]) await peer.send({ ...loading, progress });
    await peer.send({ ...head, status: "ready" });
  }, { path: `${box.runtimeDir}/admin.sock` });
  const { stdout } = await box.run(["watch"]);
  assertEquals(stdout.trimEnd().split("\n").map((line) => line.slice(9)), [
    "loading_model Loading weights of m.gguf",
    "loading_model 43 %  Loading weights of m.gguf",
    "ready",
  ]);
});

Deno.test("inferd status tells what runs and waits, and watch tells of requests as they come and go", async () => {
  await using box = new Sandbox();
  const script = JSON.stringify({ count: 100_000, delayMs: 5 });
  await using _daemon = await box.serve([...MOCK, "--mock-script", script, "--parallel", "1"]);
  await using watching = box.spawn(["watch"]);
  await watching.stdout.has("ready");
  await using first = box.spawn(["generate", "hi"]);
  await first.stdout.has("3 4 5");
  await using second = box.spawn(["generate", "hi"]);
  await watching.stdout.has("waiting #2 generate");
  const { stdout } = await box.run(["status"]);
  assertMatch(stdout, /^running +#1 generate on mock, [\d.]+ m?s, \d+ tokens, [\d.]+ tokens\/s$/m);
  assertMatch(stdout, /^waiting +#2 generate, /m);
  assertEquals(JSON.parse((await box.run(["status", "--json"])).stdout).requests[1].state, "waiting");
  first.kill("SIGKILL");
  await watching.stdout.has("failed #1 generate on mock");
  await watching.stdout.has("running #2 generate on mock");
  second.kill("SIGKILL");
  await watching.stdout.has("failed #2 generate on mock");
  watching.kill("SIGINT");
  // The first one did not wait.
  assertEquals((await watching.outcome).stdout.match(/(?:waiting|running|failed) #\d/g), [
    "running #1",
    "waiting #2",
    "failed #1",
    "running #2",
    "failed #2",
  ]);
});

Deno.test("inferd watch exits with 0 when interrupted", async () => {
  await using box = new Sandbox();
  await using _daemon = await box.serve(MOCK);
  await using watching = box.spawn(["watch"]);
  await watching.stdout.has("ready");
  watching.kill("SIGINT");
  assertEquals((await watching.outcome).code, 0);
});
