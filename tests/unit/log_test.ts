/** `log.ts` and `rotating_file.ts` on a real folder. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openActivityLog } from "../../src/log.ts";
import { RotatingFile } from "../../src/rotating_file.ts";

async function withDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "inferd-log-" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Runs `work` and returns what it printed on stderr. */
async function captured(work: () => Promise<void> | void): Promise<string> {
  const original = Deno.stderr.writeSync;
  let text = "";
  Deno.stderr.writeSync = (bytes) => {
    text += new TextDecoder().decode(bytes);
    return bytes.length;
  };
  try {
    await work();
  } finally {
    Deno.stderr.writeSync = original;
  }
  return text;
}

function records(path: string): Record<string, unknown>[] {
  return Deno.readTextFileSync(path).trimEnd().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
}

Deno.test("ActivityLog writes one record a line, mode 0600, when it is disposed of", () =>
  withDir(async (dir) => {
    {
      await using log = openActivityLog({ dir: `${dir}/a/b`, level: "info" });
      log.info("starting", { pid: 7 });
      log.for("pipeline").warn("request_error", { code: "queue_full" });
      log.debug("not this");
    }
    const path = `${dir}/a/b/inferd.ndjson`;
    const [first, second, ...more] = records(path);
    assertEquals(more, []);
    assertEquals(Object.keys(first ?? {}), ["t", "level", "component", "msg", "pid"]);
    assert(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(String(first?.t)));
    assertEquals({ ...first, t: 0 }, { t: 0, level: "info", component: "daemon", msg: "starting", pid: 7 });
    assertEquals({ ...second, t: 0 }, {
      t: 0,
      level: "warn",
      component: "pipeline",
      msg: "request_error",
      code: "queue_full",
    });
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assertEquals((Deno.statSync(`${dir}/a/b`).mode ?? 0) & 0o777, 0o700);
  }));

Deno.test("ActivityLog appends and tightens the mode when the file is there", () =>
  withDir(async (dir) => {
    const path = `${dir}/inferd.ndjson`;
    Deno.writeTextFileSync(path, '{"msg":"old"}\n', { mode: 0o644 });
    {
      await using log = openActivityLog({ dir, level: "info" });
      log.info("new");
    }
    assertEquals(records(path).map(({ msg }) => msg), ["old", "new"]);
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("ActivityLog writes an error at once when one is logged", () =>
  withDir(async (dir) => {
    await using log = openActivityLog({ dir, level: "info" });
    log.info("before");
    log.error("failed");
    assertEquals(records(`${dir}/inferd.ndjson`).map(({ msg }) => msg), ["before", "failed"]);
  }));

Deno.test("ActivityLog redacts on the way to disk and to the operator", () =>
  withDir(async (dir) => {
    const shown = await captured(async () => {
      await using log = openActivityLog({ dir, level: "info", stderr: true });
      log.error("failed", { line: "Authorization: Bearer hunter2XYZ", api_key: "hunter2XYZ" });
    });
    const text = Deno.readTextFileSync(`${dir}/inferd.ndjson`);
    assert(!text.includes("hunter2XYZ"), text);
    assert(!shown.includes("hunter2XYZ"), shown);
    assertStringIncludes(text, "[REDACTED:authorization]");
  }));

Deno.test("ActivityLog keeps a record when its fields cannot be serialised", () =>
  withDir(async (dir) => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    {
      await using log = openActivityLog({ dir, level: "info" });
      log.info("odd", { cycle });
    }
    const [record] = records(`${dir}/inferd.ndjson`);
    assertEquals(record?.msg, "odd");
    assertStringIncludes(String(record?.unloggable), "circular");
  }));

Deno.test("ActivityLog shows the operator the daemon's life and errors only, one line each", () =>
  withDir(async (dir) => {
    const shown = await captured(async () => {
      await using log = openActivityLog({ dir, level: "info", stderr: true });
      log.info("ready", { port: 1, text: "two\nlines" });
      log.debug("quiet");
      log.error("start_failed", { reason: "told by the command" });
      log.for("pipeline").info("request_done", {});
      log.for("pipeline").error("request_error", { code: "internal" });
    });
    const lines = shown.trimEnd().split("\n").map((line) => line.slice("hh:mm:ss ".length));
    assertEquals(lines, ["info  ready port=1 text=two\\nlines", "error request_error code=internal"]);
  }));

Deno.test("ActivityLog goes on without a file and says so once when its folder cannot be made", () =>
  withDir(async (dir) => {
    Deno.writeTextFileSync(`${dir}/file`, "");
    const stopped: string[] = [];
    const shown = await captured(async () => {
      await using log = openActivityLog({
        dir: `${dir}/file/logs`,
        level: "info",
        onStopped: (why) => stopped.push(why),
      });
      log.error("one");
      log.error("two");
    });
    assertEquals(shown.split("\n").length, 2, shown);
    assertStringIncludes(shown, `inferd: the activity log has stopped: Cannot write "${dir}/file/logs/inferd.ndjson"`);
    assertEquals(stopped.length, 1);
  }));

Deno.test("ActivityLog stops and says so once when its folder is deleted", () =>
  withDir(async (dir) => {
    const stopped: string[] = [];
    const shown = await captured(async () => {
      await using log = openActivityLog({ dir: `${dir}/logs`, level: "info", onStopped: (why) => stopped.push(why) });
      log.error("one");
      Deno.removeSync(`${dir}/logs`, { recursive: true });
      log.error("two");
      log.error("three");
    });
    assertEquals(stopped.length, 1, shown);
    assertEquals(shown.split("\n").length, 2, shown);
  }));

Deno.test("ActivityLog starts a new file when the old one was moved away", () =>
  withDir(async (dir) => {
    const path = `${dir}/inferd.ndjson`;
    await using log = openActivityLog({ dir, level: "info" });
    log.error("one");
    Deno.renameSync(path, `${dir}/kept`);
    log.error("two");
    assertEquals(records(`${dir}/kept`).map(({ msg }) => msg), ["one"]);
    assertEquals(records(path).map(({ msg }) => msg), ["two"]);
  }));

Deno.test("RotatingFile refuses when its path is no regular file", () =>
  withDir((dir) => {
    Deno.symlinkSync(`${dir}/elsewhere`, `${dir}/x`);
    const stopped: string[] = [];
    using file = new RotatingFile({ dir, name: "x", mostBytes: 100, onStopped: (why) => stopped.push(why) });
    file.write("a");
    file.flush();
    assertEquals(stopped, [`Cannot write "${dir}/x": it is not a regular file`]);
    return Promise.resolve();
  }));

Deno.test("RotatingFile keeps three old files and every file under the limit when it rotates", () =>
  withDir((dir) => {
    {
      using file = new RotatingFile({ dir, name: "x", mostBytes: 100, onStopped: (why) => assert(false, why) });
      for (let line = 0; line < 100; line++) {
        file.write(`line ${String(line).padStart(3, "0")} é`);
        if (line % 7 === 0) file.flush();
      }
    }
    const names = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
    assertEquals(names, ["x", "x.1", "x.2", "x.3"]);
    for (const name of names) assert(Deno.statSync(`${dir}/${name}`).size < 100);
    const kept = ["x.3", "x.2", "x.1", "x"].map((name) => Deno.readTextFileSync(`${dir}/${name}`)).join("");
    const lines = kept.trimEnd().split("\n");
    // Seven lines of 12 bytes stay under 100: four files, the last one not full.
    const last = lines.map((line) => Number(line.slice(5, 8)));
    assertEquals(last.at(-1), 99);
    assertEquals(last, Array.from({ length: lines.length }, (_, index) => 100 - lines.length + index));
    return Promise.resolve();
  }));

Deno.test("RotatingFile stops and says so once when the disk is full", () => {
  const stopped: string[] = [];
  // /dev/full is what a full disk answers, but it is no regular file: the write itself is made to fail.
  const dir = Deno.makeTempDirSync();
  using file = new RotatingFile({ dir, name: "x", mostBytes: 1000, onStopped: (why) => stopped.push(why) });
  const original = Deno.FsFile.prototype.writeSync;
  Deno.FsFile.prototype.writeSync = () => {
    throw new Error("No space left on device (os error 28)");
  };
  try {
    file.write("a");
    file.flush();
    file.write("b");
    file.flush();
  } finally {
    Deno.FsFile.prototype.writeSync = original;
    Deno.removeSync(dir, { recursive: true });
  }
  assertEquals(stopped, [`Cannot write "${dir}/x": No space left on device (os error 28)`]);
});
