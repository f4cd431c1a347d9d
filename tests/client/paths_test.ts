import { assertEquals, assertThrows } from "@std/assert";
import { maxSocketPathBytes, parseTcpAddress, runtimeDirectory, socketPath } from "@inferd/client/paths";

function directory(env: Record<string, string>, platform = "linux", uid: number | null = 501): string {
  return runtimeDirectory({ env: (name) => env[name], uid, platform });
}

Deno.test("the runtime directory is the first that is set", () => {
  const all = { XDG_RUNTIME_DIR: "/run/user/501", HOME: "/home/ada", TMPDIR: "/var/folders/x/" };
  assertEquals(directory(all), "/run/user/501/inferd");
  assertEquals(directory({ ...all, XDG_RUNTIME_DIR: "" }), "/home/ada/.inferd/run");
  assertEquals(directory({ TMPDIR: all.TMPDIR }), "/tmp/inferd-501");
  assertEquals(directory({ TMPDIR: all.TMPDIR }, "darwin"), "/var/folders/x/inferd");
  assertEquals(directory({}, "darwin"), "/tmp/inferd-501");
  assertEquals(directory({ HOME: "/" }), "/.inferd/run");
});

Deno.test("the runtime directory cannot be named when nothing tells users apart", () => {
  assertThrows(() => directory({}, "linux", null), Error, "there is no user id");
});

Deno.test("the runtime directory is not where a relative path leads to", () => {
  for (const name of ["XDG_RUNTIME_DIR", "HOME"]) {
    assertThrows(() => directory({ [name]: "rel/dir" }), TypeError, `${name} must be an absolute path, got "rel/dir"`);
    assertThrows(() => directory({ [name]: "." }, "darwin"), TypeError);
  }
  assertEquals(directory({ HOME: "C:\\Users\\ada" }, "windows", null), "C:\\Users\\ada/.inferd/run");
});

Deno.test("a socket's path may be as long as the system's address", () => {
  assertEquals(["linux", "darwin", "freebsd"].map(maxSocketPathBytes), [107, 103, 103]);
});

Deno.test("the user id is asked for only when no variable decides", () => {
  const facts = {
    env: (name: string) => name === "HOME" ? "/home/ada" : undefined,
    platform: "linux",
    get uid(): number {
      throw new Error("Asked");
    },
  };
  assertEquals(runtimeDirectory(facts), "/home/ada/.inferd/run");
});

Deno.test("a socket path is the directory and the socket's name", () => {
  assertEquals(socketPath("/run/inferd", "admin"), "/run/inferd/admin.sock");
  assertEquals(socketPath("/run/inferd/", "infer"), "/run/inferd/infer.sock");
});

Deno.test("parseTcpAddress reads every form and fills in what is left out", () => {
  const forms: [string, string, number][] = [
    ["127.0.0.1:5000", "127.0.0.1", 5000],
    ["localhost:0", "localhost", 0],
    ["localhost", "localhost", 47321],
    ["[::1]:5000", "::1", 5000],
    ["[fe80::1%eth0]", "fe80::1%eth0", 47321],
    [":5000", "127.0.0.1", 5000],
    ["5000", "127.0.0.1", 5000],
  ];
  for (const [text, hostname, port] of forms) assertEquals(parseTcpAddress(text), { hostname, port }, text);
});

Deno.test("parseTcpAddress refuses what is no address", () => {
  for (const text of ["", "::1", "a:", "a:b", "a b:1", "http://a", "a:1/x", "[::1", "a:-1", "a:1.5"]) {
    assertThrows(() => parseTcpAddress(text), TypeError, JSON.stringify(text));
  }
  assertThrows(() => parseTcpAddress("a:65536"), RangeError, "at most 65535");
});
