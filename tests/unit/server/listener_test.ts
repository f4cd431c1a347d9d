import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  ACCEPT_SETTLED_MS,
  acceptAll,
  BindError,
  bindTcp,
  bindUnix,
  removeSocket,
} from "../../../src/server/listener.ts";

const MODE = 0o660;

class Folder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Folder> {
    return new Folder(await Deno.makeTempDir({ prefix: "inferd-" }));
  }

  get socket(): string {
    return `${this.path}/s.sock`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** What a crash leaves: a socket file nobody listens on. Closing would remove it, so it gets another name before. */
async function leaveStale(path: string): Promise<void> {
  using _listener = Deno.listen({ transport: "unix", path: `${path}.live` });
  await Deno.link(`${path}.live`, path);
}

/** What bindUnix says of a path it refuses, and that it has left the path as it was. */
async function refused(path: string, options: { mode: number; group?: string } = { mode: MODE }): Promise<string> {
  const before = await Deno.lstat(path).catch(() => undefined);
  const error = await assertRejects(() => bindUnix(path, options), BindError);
  const after = await Deno.lstat(path).catch(() => undefined);
  assertEquals(after?.ino, before?.ino);
  return error.message;
}

Deno.test("bindUnix makes a socket with the mode asked for, and clients can connect", async () => {
  await using folder = await Folder.make();
  for (const mode of [0o660, 0o600]) {
    using listener = await bindUnix(folder.socket, { mode });
    const info = await Deno.lstat(folder.socket);
    assertEquals([info.isSocket, (info.mode ?? 0) & 0o777], [true, mode]);
    using _client = await Deno.connect({ transport: "unix", path: folder.socket });
    using _accepted = await listener.accept();
  }
});

Deno.test("bindUnix gives the socket to a group, by number and by name", async () => {
  await using folder = await Folder.make();
  const gid = Deno.gid() ?? 0;
  const line = (await Deno.readTextFile("/etc/group")).split("\n").find((line) => line.split(":")[2] === `${gid}`);
  for (const group of [`${gid}`, line?.split(":")[0] ?? `${gid}`]) {
    using _listener = await bindUnix(folder.socket, { mode: MODE, group });
    assertEquals((await Deno.lstat(folder.socket)).gid, gid);
  }
});

Deno.test("bindUnix refuses a group there is none of", async () => {
  await using folder = await Folder.make();
  assertEquals(
    await refused(folder.socket, { mode: MODE, group: "no-such-group" }),
    `Cannot bind "${folder.socket}": there is no group "no-such-group"`,
  );
});

Deno.test("bindUnix removes a stale socket", async () => {
  await using folder = await Folder.make();
  await leaveStale(folder.socket);
  assertEquals((await Deno.lstat(folder.socket)).isSocket, true);
  using _listener = await bindUnix(folder.socket, { mode: MODE });
  (await Deno.connect({ transport: "unix", path: folder.socket })).close();
});

Deno.test("bindUnix refuses a live socket and leaves it alone", async () => {
  await using folder = await Folder.make();
  using _live = Deno.listen({ transport: "unix", path: folder.socket });
  assertEquals(await refused(folder.socket), `Cannot bind "${folder.socket}": it is in use by a running process`);
  (await Deno.connect({ transport: "unix", path: folder.socket })).close();
});

Deno.test("bindUnix refuses a symbolic link, wherever it points", async () => {
  await using folder = await Folder.make();
  const stale = `${folder.path}/stale.sock`;
  await leaveStale(stale);
  for (const target of [stale, folder.path, `${folder.path}/nowhere`]) {
    await Deno.symlink(target, folder.socket);
    assertEquals(await refused(folder.socket), `Cannot bind "${folder.socket}": it is a symbolic link`);
    await Deno.remove(folder.socket);
  }
});

Deno.test("bindUnix refuses a directory and a regular file", async () => {
  await using folder = await Folder.make();
  assertEquals(await refused(folder.path), `Cannot bind "${folder.path}": it is a directory`);
  await Deno.writeTextFile(folder.socket, "precious");
  assertEquals(await refused(folder.socket), `Cannot bind "${folder.socket}": a file that is no socket is in the way`);
  assertEquals(await Deno.readTextFile(folder.socket), "precious");
});

Deno.test("bindUnix takes the longest path a socket can have and refuses one byte more", async () => {
  await using folder = await Folder.make();
  const longest = Deno.build.os === "darwin" ? 103 : 107;
  const path = `${folder.path}/${"x".repeat(longest - folder.path.length - 1)}`;
  (await bindUnix(path, { mode: MODE })).close();
  assertEquals(
    await refused(`${path}x`),
    `Cannot bind "${path}x": a unix socket's path may have ${longest} bytes, this one has ${longest + 1}`,
  );
  const wide = `${folder.path}/${"ü".repeat(60)}`;
  const bytes = folder.path.length + 121;
  assertEquals(
    await refused(wide),
    `Cannot bind "${wide}": a unix socket's path may have ${longest} bytes, this one has ${bytes}`,
  );
});

Deno.test("bindUnix refuses a folder that is not there or is a file", async () => {
  await using folder = await Folder.make();
  const missing = `${folder.path}/none`;
  assertEquals(
    await refused(`${missing}/s.sock`),
    `Cannot bind "${missing}/s.sock": the folder "${missing}" does not exist`,
  );
  const file = `${folder.path}/file`;
  await Deno.writeTextFile(file, "");
  assertEquals(await refused(`${file}/s.sock`), `Cannot bind "${file}/s.sock": "${file}" is not a folder`);
});

Deno.test("bindUnix refuses a folder that is not writable", { ignore: Deno.build.os !== "linux" }, async () => {
  // Not even root may write there.
  assertEquals(await refused("/sys/s.sock"), 'Cannot bind "/sys/s.sock": the folder "/sys" is not writable');
});

Deno.test("removeSocket removes a socket, nothing else, and does not mind when there is none", async () => {
  await using folder = await Folder.make();
  await leaveStale(folder.socket);
  removeSocket(folder.socket);
  await assertRejects(() => Deno.lstat(folder.socket), Deno.errors.NotFound);
  removeSocket(folder.socket);
  await Deno.writeTextFile(folder.socket, "precious");
  removeSocket(folder.socket);
  assertEquals(await Deno.readTextFile(folder.socket), "precious");
});

Deno.test("bindTcp listens on loopback without a key, by number and by name", () => {
  for (const hostname of ["127.0.0.1", "127.1.2.3", "localhost"]) {
    using listener = bindTcp({ hostname, port: 0 }, {});
    assertEquals(listener.addr.port > 0, true);
  }
});

Deno.test("bindTcp refuses what is not loopback without a key, and takes it with one", () => {
  for (const hostname of ["0.0.0.0", "::", "192.0.2.1", "127.evil.example", "127.0.0.1.evil.example"]) {
    const error = assertThrows(() => bindTcp({ hostname, port: 0 }, {}), BindError);
    assertEquals(
      error.message,
      `Cannot bind "${hostname}:0": without an API key only loopback addresses are allowed; INFERD_API_KEY or "api_key_file" sets one`,
    );
  }
  bindTcp({ hostname: "0.0.0.0", port: 0 }, { apiKey: "k" }).close();
});

Deno.test("bindTcp refuses a port that is taken and an address that is not this machine's", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const error = assertThrows(() => bindTcp({ hostname: "127.0.0.1", port }, {}), BindError);
  assertEquals(error.message, `Cannot bind "127.0.0.1:${port}": the port is taken`);
  const foreign = assertThrows(() => bindTcp({ hostname: "192.0.2.1", port: 0 }, { apiKey: "k" }), BindError);
  assertEquals(foreign.message, 'Cannot bind "192.0.2.1:0": this machine has no such address');
});

Deno.test("acceptAll tells once that accepting fails, and that it resumed, while it fails and succeeds by turns", async () => {
  using time = new FakeTime();
  const over = new AbortController();
  const told: string[] = [];
  let tries = 0;
  const idle = Promise.withResolvers<never>();
  const accepting = acceptAll(
    {
      accept(): Promise<number> {
        tries++;
        if (tries > 41) return idle.promise;
        return tries % 2 === 1 && tries < 40
          ? Promise.reject(new Error("Too many open files"))
          : Promise.resolve(tries);
      },
    },
    over.signal,
    {
      accepted: () => {},
      failed: () => void told.push("failed"),
      resumed: (failures) => void told.push(`resumed after ${failures}`),
    },
  );
  // Nothing but timers moves: 20 failures rest for 100 ms each.
  for (let ms = 0; ms <= 2000; ms += 100) await time.tickAsync(100);
  assertEquals([tries, told], [42, ["failed"]]);
  await time.tickAsync(ACCEPT_SETTLED_MS);
  assertEquals(told, ["failed", "resumed after 20"]);
  over.abort();
  idle.reject(new Error("closed"));
  await accepting;
});
