/** `log.ts` and `rotating_file.ts` on a real folder. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { openActivityLog } from "../../../src/log/log.ts";
import { RotatingFile, type RotatingFileOptions } from "../../../src/log/rotating_file.ts";
import { eventually } from "../../support/waiting.ts";
import { inFolder } from "../../support/folders.ts";

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

/** Resolves when the file is there and has something in it. */
async function written(path: string): Promise<void> {
  await eventually(
    `something in "${path}"`,
    async () => ((await Deno.stat(path).catch(() => undefined))?.size ?? 0) > 0,
  );
}

Deno.test("ActivityLog writes one record a line, mode 0600, when it is disposed of", () =>
  inFolder(async (dir) => {
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
  inFolder(async (dir) => {
    const path = `${dir}/inferd.ndjson`;
    Deno.writeTextFileSync(path, '{"msg":"old"}\n', { mode: 0o644 });
    {
      await using log = openActivityLog({ dir, level: "info" });
      log.info("new");
    }
    assertEquals(records(path).map(({ msg }) => msg), ["old", "new"]);
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("ActivityLog writes an error without waiting for more when one is logged", () =>
  inFolder(async (dir) => {
    // No timer comes due: what is written is written for the error's sake.
    using _time = new FakeTime();
    await using log = openActivityLog({ dir, level: "info" });
    log.info("before");
    log.error("failed");
    await written(`${dir}/inferd.ndjson`);
    assertEquals(records(`${dir}/inferd.ndjson`).map(({ msg }) => msg), ["before", "failed"]);
  }));

Deno.test("ActivityLog redacts on the way to disk and to the operator", () =>
  inFolder(async (dir) => {
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
  inFolder(async (dir) => {
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
  inFolder(async (dir) => {
    const shown = await captured(async () => {
      await using log = openActivityLog({ dir, level: "info", stderr: true });
      log.info("draining", { port: 1, text: "two\nlines" });
      // What the command says in words of its own, and what nobody reads there.
      for (const msg of ["ready", "permissions_left", "config_identified"]) log.info(msg);
      log.debug("quiet");
      log.error("start_failed", { reason: "told by the command" });
      log.for("pipeline").info("request_done", {});
      log.for("pipeline").error("request_error", { code: "internal" });
    });
    const lines = shown.trimEnd().split("\n").map((line) => line.slice("hh:mm:ss ".length));
    assertEquals(lines, ["info  draining port=1 text=two\\nlines", "error request_error code=internal"]);
  }));

Deno.test("ActivityLog makes room for each line where a terminal shows downloads, and repeats none of those", () =>
  inFolder(async (dir) => {
    let cleared = 0;
    const shown = await captured(async () => {
      await using log = openActivityLog({ dir, level: "info", stderr: true, beforeLine: () => cleared++ });
      log.info("starting");
      log.info("download", { percent: 1 });
      log.for("pipeline").info("request_done");
      log.error("broken");
    });
    assertEquals([shown.trimEnd().split("\n").length, cleared], [2, 2], shown);
    assertEquals(records(`${dir}/inferd.ndjson`).some(({ msg }) => msg === "download"), true);
  }));

Deno.test("ActivityLog goes on without a file and says so once when its folder cannot be made", () =>
  inFolder(async (dir) => {
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

Deno.test("ActivityLog keeps what a record is when a field has the same name", () =>
  inFolder(async (dir) => {
    {
      await using log = openActivityLog({ dir, level: "info" });
      log.info("odd", { t: "never", level: "none", component: "nobody", msg: "else", more: 1 });
    }
    const [record] = records(`${dir}/inferd.ndjson`);
    assertEquals(Object.keys(record ?? {}), ["t", "level", "component", "msg", "more"]);
    assertEquals([record?.level, record?.component, record?.msg], ["info", "daemon", "odd"]);
  }));

Deno.test("ActivityLog keeps a record without its fields when they are too long for a line", () =>
  inFolder(async (dir) => {
    {
      await using log = openActivityLog({ dir, level: "info" });
      log.info("long", { list: Array(100).fill("x".repeat(10_000)) });
      log.info("cut", { text: "y".repeat(1024 * 1024) });
    }
    const [long, cut] = records(`${dir}/inferd.ndjson`);
    assertEquals([long?.msg, long?.list], ["long", undefined]);
    assertStringIncludes(String(long?.unloggable), "characters");
    assertStringIncludes(String(cut?.text), "yyy… [1032192 more characters]");
  }));

Deno.test("ActivityLog gives the operator's terminal nothing to obey when a caller's text is shown", () =>
  inFolder(async (dir) => {
    const id = "\x1b]0;title\x07\x9b31m\r\u202eback\u2028\u0000";
    const shown = await captured(async () => {
      await using log = openActivityLog({ dir, level: "info", stderr: true });
      log.for("pipeline").error("request_error", { id, secret: ["a b", "c"] });
    });
    assertStringIncludes(
      shown,
      "id=\\u001b]0;title\\u0007\\u009b31m\\u000d\\u202eback\\u2028\\u0000 secret=[REDACTED:secret]\n",
    );
    assertEquals(records(`${dir}/inferd.ndjson`)[0]?.id, id);
  }));

Deno.test("ActivityLog makes its folder again when it is deleted", () =>
  inFolder(async (dir) => {
    const path = `${dir}/a/logs/inferd.ndjson`;
    await using log = openActivityLog({ dir: `${dir}/a/logs`, level: "info", onStopped: (why) => assert(false, why) });
    log.error("one");
    await written(path);
    Deno.removeSync(`${dir}/a`, { recursive: true });
    log.error("two");
    await written(path);
    assertEquals(records(path).map(({ msg }) => msg), ["two"]);
    assertEquals((Deno.statSync(`${dir}/a/logs`).mode ?? 0) & 0o777, 0o700);
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("ActivityLog starts a new file when the old one was moved away", () =>
  inFolder(async (dir) => {
    const path = `${dir}/inferd.ndjson`;
    await using log = openActivityLog({ dir, level: "info" });
    log.error("one");
    await written(path);
    Deno.renameSync(path, `${dir}/kept`);
    log.error("two");
    await written(path);
    assertEquals(records(`${dir}/kept`).map(({ msg }) => msg), ["one"]);
    assertEquals(records(path).map(({ msg }) => msg), ["two"]);
  }));

Deno.test("ActivityLog says so once, goes on and tells how much is missing when its file was in the way", () =>
  inFolder(async (dir) => {
    const path = `${dir}/inferd.ndjson`;
    Deno.mkdirSync(path);
    const stopped = Promise.withResolvers<string>();
    const events: string[] = [];
    const shown = await captured(async () => {
      await using log = openActivityLog({
        dir,
        level: "info",
        retryMs: 0,
        onStopped: (reason) => {
          events.push("stopped");
          stopped.resolve(reason);
        },
        onResumed: () => events.push("resumed"),
      });
      log.error("one");
      log.error("two");
      assertEquals(await stopped.promise, `Cannot write "${path}": it is not a regular file`);
      Deno.removeSync(path);
      log.error("three");
      await written(path);
    });
    assertEquals(records(path).map(({ msg, component, lost }) => [msg, component, lost]), [
      ["log_resumed", "log", 2],
      ["three", "daemon", undefined],
    ]);
    assertEquals(events, ["stopped", "resumed"]);
    assertEquals(shown.trimEnd().split("\n"), [
      `inferd: the activity log has stopped: Cannot write "${path}": it is not a regular file`,
      "inferd: the activity log has resumed; 2 records were lost",
    ]);
  }));

/** A file that must not stop, where the test does not say what happens when it does. */
function rotating(dir: string, options: Partial<RotatingFileOptions> = {}): RotatingFile {
  return new RotatingFile({ dir, name: "x", mostBytes: 1000, onStopped: (why) => assert(false, why), ...options });
}

/** Runs `work` while every write to a file is `write`'s; it gets the real one. */
async function withWrites(
  write: (real: () => Promise<number>, bytes: Uint8Array) => Promise<number>,
  work: () => Promise<void>,
): Promise<void> {
  const original = Deno.FsFile.prototype.write;
  Deno.FsFile.prototype.write = function (this: Deno.FsFile, bytes: Uint8Array): Promise<number> {
    return write(() => original.call(this, bytes), bytes);
  };
  try {
    await work();
  } finally {
    Deno.FsFile.prototype.write = original;
  }
}

Deno.test("RotatingFile refuses when its path is no regular file", () =>
  inFolder(async (dir) => {
    Deno.symlinkSync(`${dir}/elsewhere`, `${dir}/x`);
    const stopped: string[] = [];
    await using file = rotating(dir, { onStopped: (why) => stopped.push(why) });
    file.write("a");
    await file.flush();
    assertEquals(stopped, [`Cannot write "${dir}/x": it is not a regular file`]);
    assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name), ["x"]);
  }));

Deno.test("RotatingFile keeps three old files and every file under the limit when it rotates", () =>
  inFolder(async (dir) => {
    {
      await using file = rotating(dir, { mostBytes: 100 });
      for (let line = 0; line < 100; line++) {
        file.write(`line ${String(line).padStart(3, "0")} é`);
        if (line % 7 === 0) await file.flush();
      }
    }
    const names = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
    assertEquals(names, ["x", "x.1", "x.2", "x.3"]);
    for (const name of names) {
      const { size, mode } = Deno.statSync(`${dir}/${name}`);
      assert(size < 100);
      assertEquals((mode ?? 0) & 0o777, 0o600);
    }
    const kept = ["x.3", "x.2", "x.1", "x"].map((name) => Deno.readTextFileSync(`${dir}/${name}`)).join("");
    const lines = kept.trimEnd().split("\n");
    // Seven lines of 12 bytes stay under 100: four files, the last one not full.
    const last = lines.map((line) => Number(line.slice(5, 8)));
    assertEquals(last.at(-1), 99);
    assertEquals(last, Array.from({ length: lines.length }, (_, index) => 100 - lines.length + index));
  }));

Deno.test("RotatingFile counts what is really there when somebody cuts the file", () =>
  inFolder(async (dir) => {
    await using file = rotating(dir, { mostBytes: 100 });
    file.write("a".repeat(90));
    await file.flush();
    Deno.truncateSync(`${dir}/x`);
    file.write("b".repeat(50));
    await file.flush();
    assertEquals(Deno.readTextFileSync(`${dir}/x`), "b".repeat(50) + "\n");
    assertEquals([...Deno.readDirSync(dir)].length, 1);
  }));

Deno.test("RotatingFile begins a line of its own when the file ends in the middle of one", () =>
  inFolder(async (dir) => {
    Deno.writeTextFileSync(`${dir}/x`, '{"half');
    {
      await using file = rotating(dir);
      file.write("whole");
    }
    assertEquals(Deno.readTextFileSync(`${dir}/x`), '{"half\nwhole\n');
  }));

Deno.test("RotatingFile makes its file writable again when it was made read-only", () =>
  inFolder(async (dir) => {
    Deno.writeTextFileSync(`${dir}/x`, "old\n", { mode: 0o400 });
    const original = Deno.open;
    // The mode stops nobody who is root.
    Deno.open = (path, options) => {
      if ((Deno.statSync(path).mode ?? 0) & 0o200) return original(path, options);
      return Promise.reject(new Deno.errors.PermissionDenied("Permission denied (os error 13)"));
    };
    try {
      await using file = rotating(dir);
      file.write("new");
    } finally {
      Deno.open = original;
    }
    assertEquals(Deno.readTextFileSync(`${dir}/x`), "old\nnew\n");
  }));

Deno.test("RotatingFile says so once, keeps whole lines only and goes on when the disk is full for a while", () =>
  inFolder(async (dir) => {
    const stopped: string[] = [];
    const resumed: number[] = [];
    let room = 5;
    const write = async (real: () => Promise<number>, bytes: Uint8Array): Promise<number> => {
      if (room === 0) throw new Error("No space left on device (os error 28)");
      if (room >= bytes.length) return await real();
      // As a disk does that is about to be full.
      Deno.writeFileSync(`${dir}/x`, bytes.subarray(0, room), { append: true });
      const taken = room;
      room = 0;
      return taken;
    };
    await withWrites(write, async () => {
      await using file = rotating(dir, {
        retryMs: 0,
        onStopped: (why) => stopped.push(why),
        onResumed: (lost) => resumed.push(lost),
        gapLine: ({ lost, stopped }) => `gap ${lost} ${stopped}`,
      });
      for (const line of ["aaa", "bbb", "ccc"]) file.write(line);
      await file.flush();
      assertEquals(Deno.readTextFileSync(`${dir}/x`), "aaa\n");
      for (const line of ["ddd", "eee"]) {
        file.write(line);
        await file.flush();
      }
      assertEquals(Deno.readTextFileSync(`${dir}/x`), "aaa\n");
      assertEquals([stopped.length, resumed], [1, []]);
      room = Infinity;
      file.write("fff");
      file.write("ggg");
      await file.flush();
      file.write("hhh");
    });
    assertEquals(stopped, [`Cannot write "${dir}/x": No space left on device (os error 28)`]);
    assertEquals(resumed, [4]);
    assertEquals(Deno.readTextFileSync(`${dir}/x`), "aaa\ngap 4 true\nfff\nggg\nhhh\n");
  }));

Deno.test("RotatingFile tries nothing and keeps nothing for a while when writing failed", () =>
  inFolder(async (dir) => {
    let tries = 0;
    const fails = (): Promise<number> => {
      tries++;
      return Promise.reject(new Error("No space left on device (os error 28)"));
    };
    await withWrites(fails, async () => {
      await using file = rotating(dir, { onStopped: () => {} });
      for (let line = 0; line < 100; line++) {
        file.write("line");
        await file.flush();
      }
    });
    assertEquals(tries, 1);
  }));

Deno.test("RotatingFile waits for nobody, drops what is too much and says how much when the disk is slow", () =>
  inFolder(async (dir) => {
    const gate = Promise.withResolvers<void>();
    const line = "x".repeat(1023);
    const slow = async (real: () => Promise<number>): Promise<number> => {
      await gate.promise;
      return await real();
    };
    await withWrites(slow, async () => {
      await using file = rotating(dir, {
        mostBytes: 100 * 1024 * 1024,
        gapLine: ({ lost, stopped }) => `gap ${lost} ${stopped}`,
      });
      for (let count = 0; count < 50_000; count++) file.write(line);
      gate.resolve();
      await file.flush();
      file.write("after");
    });
    const lines = Deno.readTextFileSync(`${dir}/x`).trimEnd().split("\n");
    const kept = lines.filter((each) => each === line).length;
    assert(kept > 100 && kept < 1100, String(kept));
    assertEquals(lines.slice(kept), [`gap ${50_000 - kept} false`, "after"]);
  }));

Deno.test("RotatingFile ends without its last lines when the disk does not answer any more", () =>
  inFolder(async (dir) => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await withWrites(async (real) => {
      begun.resolve();
      await gate.promise;
      return await real();
    }, async () => {
      const file = rotating(dir);
      file.write("never");
      const flushed = file.flush();
      await begun.promise;
      {
        using time = new FakeTime();
        const disposed = file[Symbol.asyncDispose]();
        await time.tickAsync(2000);
        await disposed;
      }
      assertEquals(Deno.readTextFileSync(`${dir}/x`), "");
      gate.resolve();
      await flushed;
    });
  }));
