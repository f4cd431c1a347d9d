/** The texts of the unit and the agent: what systemd and an XML parser make of them. */
import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { launchdPlist, type ServiceSpec, systemdUnit, UnitError } from "../../../src/service/units.ts";

const SPEC: ServiceSpec = {
  command: ["/opt/in ferd/100%/inferd", "serve", "--namespace=$HOME \"a\" 'b' \\c", "--parallel=2"],
  environment: { XDG_RUNTIME_DIR: "", MODELS_HOME: "/m %h" },
  writable: ["/home/u/.inferd/logs", "/home/u/my 100% models", '/home/u/"quoted"'],
  managedRuntimeDir: true,
  changesGroup: false,
  drainTimeoutSecs: 30,
  errorLog: "/home/u/.inferd/logs/inferd.stderr.log",
};

function lines(text: string, key: string): string[] {
  return text.split("\n").filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
}

Deno.test("a unit file quotes what systemd would read as something else", () => {
  const unit = systemdUnit(SPEC);
  assertEquals(lines(unit, "ExecStart"), [
    ':"/opt/in ferd/100%%/inferd" serve "--namespace=$HOME \\"a\\" \'b\' \\\\c" --parallel=2',
  ]);
  assertEquals(lines(unit, "Environment"), ["XDG_RUNTIME_DIR=", '"MODELS_HOME=/m %%h"']);
  assertEquals(lines(unit, "ReadWritePaths"), [
    "-/home/u/.inferd/logs",
    '-"/home/u/my 100%% models"',
    `-'/home/u/"quoted"'`,
  ]);
});

Deno.test("a unit file gives the daemon time to drain, and closes what it does not need", () => {
  const unit = systemdUnit(SPEC);
  assertEquals(lines(unit, "TimeoutStopSec"), ["45"]);
  const expected = {
    Type: "notify",
    NotifyAccess: "all",
    WatchdogSec: "60",
    Restart: "on-failure",
    RestartPreventExitStatus: "2",
    KillMode: "mixed",
    NoNewPrivileges: "yes",
    ProtectSystem: "strict",
    PrivateTmp: "yes",
    RestrictAddressFamilies: "AF_UNIX AF_INET AF_INET6",
    MemoryDenyWriteExecute: "no",
    RuntimeDirectory: "inferd",
  };
  for (const [key, value] of Object.entries(expected)) assertEquals([key, lines(unit, key)], [key, [value]]);
});

Deno.test("a unit file leaves the file system open when sockets go to a group, and /tmp when something is in it", () => {
  const group = systemdUnit({ ...SPEC, changesGroup: true });
  for (const key of ["ProtectSystem", "PrivateUsers", "ReadWritePaths"]) assertEquals(lines(group, key), []);
  assertEquals(lines(group, "NoNewPrivileges"), ["yes"]);
  const tmp = systemdUnit({ ...SPEC, managedRuntimeDir: false, writable: ["/tmp/inferd-1000"] });
  assertEquals([lines(tmp, "PrivateTmp"), lines(tmp, "RuntimeDirectory")], [["no"], []]);
});

Deno.test("a unit file names the file of keys only when there is one", () => {
  assertEquals(lines(systemdUnit(SPEC), "EnvironmentFile"), []);
  const unit = systemdUnit({ ...SPEC, environmentFile: "/home/u/100% .inferd/environment" });
  assertEquals(lines(unit, "EnvironmentFile"), ["-/home/u/100%% .inferd/environment"]);
});

Deno.test("a unit file is refused when a value would begin a new line in it, or systemd cannot read it", () => {
  const spec = { ...SPEC, command: ["/x", "--namespace=a\nExecStartPre=/bin/evil"] };
  assertThrows(() => systemdUnit(spec), UnitError, "it has control characters");
  assertThrows(() => systemdUnit({ ...SPEC, writable: [`/a"b'c`] }), UnitError, "it has quotes of both kinds");
  assertThrows(() => systemdUnit({ ...SPEC, command: [`/a"b`] }), UnitError, "may have no quotes");
  assertThrows(() => launchdPlist({ ...SPEC, command: ["/x", "\u0001"] }, "l"), UnitError, "control characters");
});

Deno.test("systemd-analyze verify finds nothing in a unit file, whatever its paths are", async () => {
  const dir = Deno.makeTempDirSync({ prefix: "inferd-" });
  try {
    // That it is found says that the quoting is right.
    const program = `${dir}/in f 100%n $HOME`;
    Deno.writeTextFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
    const spec = { ...SPEC, command: [program, ...SPEC.command.slice(1)] };
    const verify = async (unit: string): Promise<string | undefined> => {
      Deno.writeTextFileSync(`${dir}/inferd.service`, unit);
      try {
        const { code, stderr } = await new Deno.Command("systemd-analyze", {
          args: ["--user", "--man=no", "verify", `${dir}/inferd.service`],
          env: { XDG_RUNTIME_DIR: dir },
        }).output();
        return `${code} ${new TextDecoder().decode(stderr)}`;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        console.warn("Not tested: there is no systemd-analyze here");
        return undefined;
      }
    };
    const good = await verify(systemdUnit(spec));
    if (good === undefined) return;
    assertEquals(good, "0 ");
    assertEquals(await verify(systemdUnit({ ...spec, changesGroup: true, environmentFile: "/x y" })), "0 ");
    assertMatch(await verify(systemdUnit({ ...spec, command: ["/nonexistent/x"] })) ?? "", /not executable/);
    assertMatch(await verify(`${systemdUnit(spec)}KillModus=x\n`) ?? "", /KillModus/);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("an agent of launchd is a property list in good order", async () => {
  const text = launchdPlist({ ...SPEC, command: ["/a & b/<inferd>", "serve"] }, "inferd.daemon");
  assertStringIncludes(text, "<string>/a &amp; b/&lt;inferd&gt;</string>");
  assertMatch(text, /<key>KeepAlive<\/key>\n {2}<dict>\n {4}<key>SuccessfulExit<\/key>\n {4}<false\/>\n {2}<\/dict>/);
  assertMatch(text, /<key>ExitTimeOut<\/key>\n {2}<integer>45<\/integer>/);
  assertWellFormed(text);
  assertThrows(() => assertWellFormed(text.replace("</array>", "")));
  try {
    const child = new Deno.Command("xmllint", { args: ["--noout", "-"], stdin: "piped", stderr: "piped" }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
    const { success, stderr } = await child.output();
    assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.warn("Not tested: there is no xmllint here");
  }
});

/** Every element is closed, in order, and what is between them needs no escape. */
function assertWellFormed(text: string): void {
  const open: string[] = [];
  const body = text.replace(/<\?.*?\?>|<!.*?>/g, "");
  for (const [, close, name = "", empty, between = ""] of body.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>([^<]*)/g)) {
    if (close) assertEquals(open.pop(), name);
    else if (!empty) open.push(name);
    assertEquals(/&(?!amp;|lt;|gt;)|>/.test(between), false, between);
  }
  assertEquals(open, []);
}
