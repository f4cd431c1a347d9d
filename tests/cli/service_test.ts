/** `inferd service`: what it writes, what it tells the service manager, and what it leaves alone. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { dirname } from "@std/path";
import { type Outcome, Sandbox } from "../support/program.ts";
import { mountSmallDisk, onSmallDisk } from "../support/small_disk.ts";

const LINUX = Deno.build.os === "linux";

/** A sandbox whose `systemctl` writes down what it is told. */
class Services extends Sandbox {
  readonly unit: string = `${this.dir}/.config/systemd/user/inferd.service`;
  readonly #bin: string = `${this.dir}/bin`;
  readonly #calls: string = `${this.dir}/calls`;

  /** What `systemctl` was told so far. */
  get calls(): string[] {
    try {
      return Deno.readTextFileSync(this.#calls).trim().split("\n");
    } catch {
      return [];
    }
  }

  /** Put a `systemctl` where the program finds it. */
  systemctl(script = "exit 0"): void {
    Deno.mkdirSync(this.#bin, { recursive: true });
    const text = `#!/bin/sh\necho "$*" >> "${this.#calls}"\n${script}\n`;
    Deno.writeTextFileSync(`${this.#bin}/systemctl`, text, { mode: 0o755 });
  }

  service(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    // Where the tests are run by npx, its Deno is none that a service may name.
    Deno.mkdirSync(this.#bin, { recursive: true });
    const deno = `${this.#bin}/deno`;
    try {
      Deno.symlinkSync(Deno.execPath(), deno);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    return this.run(["service", ...args], { env: { PATH: this.#bin, INFERD_LOG_DIR: "", ...env } });
  }
}

function execStart(unit: string): string {
  return unit.split("\n").find((line) => line.startsWith("ExecStart=")) ?? "";
}

Deno.test({
  name: "inferd service install writes the unit, tells systemd, and does the same again without harm",
  ignore: !LINUX,
  fn: async () => {
    await using box = new Services();
    box.systemctl();
    const { code, stdout, stderr } = await box.service(["install", "--now", "--parallel", "2"]);
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, `Wrote "${box.unit}"`);
    assertEquals((Deno.statSync(box.unit).mode ?? 0) & 0o777, 0o644);
    assertEquals(box.calls, ["--user daemon-reload", "--user enable --now inferd.service"]);
    const unit = Deno.readTextFileSync(box.unit);
    assertEquals(unit, (await box.service(["print", "--parallel", "2"])).stdout);
    for (const folder of [".inferd/logs", ".inferd/cache", ".local/share/models"]) {
      assert(Deno.statSync(`${box.dir}/${folder}`).isDirectory);
      assertStringIncludes(unit, `ReadWritePaths=-${box.dir}/${folder}\n`);
    }
    const again = await box.service(["install", "--parallel", "2"]);
    assertEquals([again.code, Deno.readTextFileSync(box.unit)], [0, unit]);
    assertStringIncludes(again.stdout, "is up to date");
    await box.service(["install", "--parallel", "3"]);
    assertStringIncludes(Deno.readTextFileSync(box.unit), "--parallel=3");

    const gone = await box.service(["uninstall"]);
    assertEquals([gone.code, gone.stdout, gone.stderr], [0, `Removed "${box.unit}"\n`, ""]);
    assertEquals(box.calls.slice(-2), ["--user disable --now inferd.service", "--user daemon-reload"]);
    const twice = await box.service(["uninstall"]);
    assertEquals([twice.code, twice.stdout], [0, `There is no "${box.unit}"; nothing to do\n`]);
  },
});

Deno.test({
  name: "the unit names the registry that libraries are fetched from, unless there is a password in it",
  ignore: !LINUX,
  fn: async () => {
    await using box = new Services();
    const unit = async (registry: string): Promise<string> =>
      (await box.service(["print"], { NPM_CONFIG_REGISTRY: registry })).stdout;
    assertMatch(
      await unit("https://registry.npmjs.org/"),
      /^Environment=NPM_CONFIG_REGISTRY=https:\/\/registry\.npmjs\.org\/$/m,
    );
    const withPassword = await unit("https://user:secret@registry.npmjs.org/");
    assert(!/^Environment=NPM_CONFIG_REGISTRY/m.test(withPassword) && !withPassword.includes("secret"), withPassword);
  },
});

Deno.test({
  name: "the command of the unit starts a daemon with the permissions it needs, and no others",
  ignore: !LINUX,
  fn: async () => {
    await using box = new Services();
    const config = `${box.dir}/config of mine.json`;
    Deno.writeTextFileSync(config, JSON.stringify({ queue_depth: 7, backends: [{ kind: "mock", name: "m" }] }));
    const { code, stdout } = await box.service(["print", "--config", config, "--log-dir", `${box.dir}/100% logs`]);
    assertEquals(code, 0);
    const line = execStart(stdout);
    assert(!/ -A | --allow-all/.test(line), line);
    // What systemd does to it, less the cases that the units' own tests have.
    const words = [...line.slice("ExecStart=:".length).matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)]
      .map(([, quoted, plain]) => (quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "").replaceAll("%%", "%"));
    const [program = "", ...args] = words;
    const { HOME = "", DENO_DIR = "", XDG_RUNTIME_DIR = "" } = box.env;
    const daemon = new Deno.Command(program, {
      args: args.toSpliced(1, 0, "--no-check"),
      cwd: "/",
      clearEnv: true,
      env: { HOME, DENO_DIR, XDG_RUNTIME_DIR },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(daemon.stderr).text();
    const died = stderr.then((text) => {
      throw new Error(`The daemon ended before it was ready: ${text}`);
    });
    try {
      await Promise.race([box.admin.ready(), died]);
      died.catch(() => {});
      assertEquals((await box.admin.snapshot()).capabilities[0]?.queue?.depth, 7);
    } finally {
      daemon.kill("SIGTERM");
      assertEquals([(await daemon.status).code, await stderr.then((text) => /\bNotCapable\b/.test(text))], [0, false]);
    }
    assert(Deno.statSync(`${box.dir}/100% logs/inferd.ndjson`).isFile);
  },
});

Deno.test({
  name: "inferd service leaves a file alone that somebody else wrote, unless it is forced to",
  ignore: !LINUX,
  fn: async () => {
    await using box = new Services();
    box.systemctl();
    Deno.mkdirSync(`${box.dir}/.config/systemd/user`, { recursive: true });
    Deno.writeTextFileSync(box.unit, "[Service]\n");
    for (const action of ["install", "uninstall"]) {
      const { code, stderr } = await box.service([action]);
      assertEquals([code, stderr], [
        1,
        `inferd: "${box.unit}" was not written by this program; use --force to do it anyway\n`,
      ]);
    }
    assertEquals([Deno.readTextFileSync(box.unit), box.calls], ["[Service]\n", []]);
    assertEquals((await box.service(["install", "--force"])).code, 0);
    assertStringIncludes(Deno.readTextFileSync(box.unit), "ExecStart=");
  },
});

Deno.test({
  name: "inferd service says what to run when systemctl is missing or cannot be reached",
  ignore: !LINUX,
  fn: async () => {
    await using box = new Services();
    const missing = await box.service(["install"]);
    const run = "systemctl --user daemon-reload && systemctl --user enable inferd.service";
    assertEquals([missing.code, missing.stderr], [
      0,
      `inferd: There is no systemctl here; run this when it is available: ${run}\n`,
    ]);
    assert(Deno.statSync(box.unit).isFile);
    box.systemctl("echo 'Failed to connect to bus' >&2; exit 1");
    const failing = await box.service(["install"]);
    assertEquals(failing.code, 1);
    assertStringIncludes(failing.stderr, `failed (Failed to connect to bus); run this`);
    const removed = await box.service(["uninstall"]);
    assertEquals([removed.code, removed.stdout], [1, `Removed "${box.unit}"\n`]);
  },
});

Deno.test({
  name: "inferd service keeps keys out of the unit, and says where they belong",
  ignore: !LINUX,
  fn: async () => {
    await using box = new Services();
    const canary = "canary-0123456789";
    const config = `${box.dir}/c.json`;
    const backend = { kind: "openai-compat", name: "a", base_url: "http://h/v1", model: "m", api_key_env: "KEY_A" };
    Deno.writeTextFileSync(config, JSON.stringify({ backends: [backend] }));
    const env = { INFERD_API_KEY: canary, KEY_A: canary };
    const { code, stderr } = await box.service(["install", "--config", config], env);
    assertEquals(code, 0);
    assertStringIncludes(stderr, `put INFERD_API_KEY=... into "${box.dir}/.inferd/environment", mode 600`);
    const unit = Deno.readTextFileSync(box.unit);
    assert(!unit.includes(canary));
    assertStringIncludes(unit, `EnvironmentFile=-${box.dir}/.inferd/environment\n`);
    assertMatch(execStart(unit), /--allow-env=\S*\bKEY_A\b/);
  },
});

Deno.test({
  ...onSmallDisk("inferd service install says that the disk is full, and leaves nothing of the unit there"),
  fn: async () => {
    await using box = new Services();
    box.systemctl();
    const folder = dirname(box.unit);
    Deno.mkdirSync(folder, { recursive: true });
    await using _disk = await mountSmallDisk(folder, "64k");
    assertThrows(() => Deno.writeFileSync(`${folder}/fill`, new Uint8Array(128 * 1024)));
    const { code, stderr } = await box.service(["install"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "No space left on device");
    assertEquals([[...Deno.readDirSync(folder)].map(({ name }) => name), box.calls], [["fill"], []]);
  },
});

Deno.test("inferd service prints the agent of launchd when it is asked for", async () => {
  await using box = new Services();
  const { code, stdout } = await box.service(["print", "--for", "launchd"]);
  assertEquals(code, 0);
  assertMatch(stdout, /^<\?xml [^\n]+\n<!-- Written by "inferd service install"/);
  assertMatch(stdout, /<string>serve<\/string>\n {4}<string>--exit-when-down=true<\/string>\n {2}<\/array>/);
});

Deno.test("a service exits when everything is down, unless the flags or the configuration say otherwise", async () => {
  await using box = new Services();
  const print = async (...args: string[]): Promise<string> =>
    (await box.service(["print", "--for", "launchd", ...args])).stdout;
  assertEquals((await print("--exit-when-down=false")).match(/--exit-when-down=\w+/g), ["--exit-when-down=false"]);
  const file = `${box.dir}/config.json`;
  Deno.writeTextFileSync(file, JSON.stringify({ exit_when_down: false }));
  assertEquals((await print("--config", file)).match(/--exit-when-down=\w+/g), null);
});

Deno.test("inferd service exits with 2 and one line when it cannot know what to do", async () => {
  await using box = new Services();
  for (
    const [args, message] of [
      [[], "No action given. Use install, uninstall or print"],
      [["start"], 'Unknown action "start". Use install, uninstall or print'],
      [["print", "--for", "upstart"], '--for must be one of systemd, launchd, got "upstart"'],
      [["install", "--for", "launchd"], "Cannot use --for with anything but print"],
      [["install", "--config", "/nonexistent"], 'Cannot read "/nonexistent"'],
    ] as const
  ) {
    const { code, stdout, stderr } = await box.service(args);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, message);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  }
});

Deno.test({
  name: "inferd service refuses a Deno that npx may remove, when PATH has no other",
  ignore: !LINUX,
  fn: async () => {
    await using box = new Services();
    const ofNpx = `${box.dir}/_npx/bin`;
    Deno.mkdirSync(ofNpx, { recursive: true });
    // A copy would be a hundred megabytes; a hard link has the path of its own that Deno tells.
    try {
      Deno.linkSync(Deno.realPathSync(Deno.execPath()), `${ofNpx}/deno`);
    } catch {
      Deno.copyFileSync(Deno.execPath(), `${ofNpx}/deno`);
    }
    const print = async (path: string): Promise<Outcome> => {
      const { code, stdout, stderr } = await new Deno.Command(`${ofNpx}/deno`, {
        args: ["run", "-A", "--no-check", new URL("../../main.ts", import.meta.url).pathname, "service", "print"],
        env: { ...box.env, PATH: path },
        clearEnv: true,
      }).output();
      const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
      return { code, stdout: text(stdout), stderr: text(stderr) };
    };
    const refused = await print(ofNpx);
    assertEquals([refused.code, refused.stdout], [1, ""]);
    assertMatch(
      refused.stderr,
      /^inferd: Cannot start a service with ".*_npx\/bin\/deno": npx may remove it .*Install Deno/,
    );

    const lasting = `${box.dir}/lasting`;
    Deno.mkdirSync(lasting);
    Deno.symlinkSync(`${ofNpx}/deno`, `${lasting}/deno`);
    assertStringIncludes(execStart((await print(`${ofNpx}:${lasting}`)).stdout), `ExecStart=:${lasting}/deno run`);
  },
});
