import { assertEquals, assertThrows } from "@std/assert";
import {
  checkSurfaces,
  endpointName,
  type ProcessFacts,
  surfaceEndpoint,
  unixSurfaceEndpoint,
  whyNoDaemon,
} from "../../client/endpoints.ts";
import type { ConnectOptions, SurfaceName } from "../../client/options.ts";
import { SURFACES } from "../../client/protocol/surfaces.ts";
import { spawnPlan } from "../../client/spawn_plan.ts";

function facts(env: Record<string, string>, platform = "linux"): ProcessFacts {
  return { env: (name) => env[name], uid: 501, platform };
}

const NOBODY: ProcessFacts = {
  env: (name) => {
    throw new Error(`Asked for ${name}`);
  },
  uid: null,
  platform: "linux",
};

Deno.test("the endpoint is what the caller says, and the environment is not asked", () => {
  assertEquals(surfaceEndpoint("infer", { path: "/a.sock" }, NOBODY), { path: "/a.sock" });
  assertEquals(surfaceEndpoint("infer", { tcp: {} }, NOBODY), { hostname: "127.0.0.1", port: 47321 });
  assertEquals(surfaceEndpoint("infer", { tcp: { hostname: "::1", port: 5, apiKey: "k" } }, NOBODY), {
    hostname: "::1",
    port: 5,
    apiKey: "k",
  });
  assertEquals(unixSurfaceEndpoint("admin", "/b.sock", NOBODY), { path: "/b.sock" });
});

Deno.test("the endpoint is what the environment says when the caller does not", () => {
  const tcp = { INFERD_TCP: "localhost:5", INFERD_API_KEY: "k", HOME: "/home/ada" };
  assertEquals(surfaceEndpoint("infer", {}, facts({ ...tcp, INFERD_UDS: "/a.sock" })), { path: "/a.sock" });
  assertEquals(surfaceEndpoint("infer", {}, facts({ ...tcp, INFERD_UDS: "" })), {
    hostname: "localhost",
    port: 5,
    apiKey: "k",
  });
  assertEquals(surfaceEndpoint("infer", {}, facts({ ...tcp, INFERD_API_KEY: "" })), { hostname: "localhost", port: 5 });
  assertEquals(surfaceEndpoint("infer", {}, facts({ ...tcp, INFERD_TCP: "" })), {
    path: "/home/ada/.inferd/run/infer.sock",
  });
  assertThrows(() => surfaceEndpoint("infer", {}, facts({ INFERD_TCP: "a:b:c" })), TypeError, '"a:b:c"');
  assertEquals(unixSurfaceEndpoint("admin", undefined, facts({ INFERD_ADMIN_ADDR: "/c.sock" })), { path: "/c.sock" });
});

Deno.test("unix sockets are refused on Windows, also the default, and TCP is not", () => {
  for (const platform of ["win32", "windows"]) {
    const windows = { ...facts({ USERPROFILE: "C:\\Users\\ada" }, platform), uid: null };
    for (
      const locate of [
        () => surfaceEndpoint("infer", {}, windows),
        () => surfaceEndpoint("v2", { path: "C:\\infer.sock" }, windows),
        () => unixSurfaceEndpoint("admin", undefined, windows),
        () => unixSurfaceEndpoint("admin", "C:\\admin.sock", windows),
        () => unixSurfaceEndpoint("dispatch", undefined, windows),
      ]
    ) {
      assertThrows(locate, TypeError, 'Cannot use unix sockets on Windows: say where the daemon is with "tcp"');
    }
    assertEquals(surfaceEndpoint("infer", { tcp: {} }, windows), { hostname: "127.0.0.1", port: 47321 });
    assertEquals(surfaceEndpoint("infer", {}, { ...windows, env: (name) => name === "INFERD_TCP" ? "5" : undefined }), {
      hostname: "127.0.0.1",
      port: 5,
    });
  }
});

Deno.test("the endpoint is in the runtime directory when nobody says otherwise", () => {
  const xdg = facts({ XDG_RUNTIME_DIR: "/run/user/501" });
  assertEquals(surfaceEndpoint("infer", {}, xdg), { path: "/run/user/501/inferd/infer.sock" });
  assertEquals(unixSurfaceEndpoint("admin", undefined, xdg), { path: "/run/user/501/inferd/admin.sock" });
  // Where anybody may have made the folder, it has to be this user's.
  assertEquals(surfaceEndpoint("infer", {}, facts({})), {
    path: "/tmp/inferd-501/infer.sock",
    folder: { path: "/tmp/inferd-501", uid: 501 },
  });
});

Deno.test("the other surfaces are next to the generation socket that the caller names", () => {
  const at = (surface: SurfaceName, options: ConnectOptions): unknown => surfaceEndpoint(surface, options, NOBODY);
  assertEquals(at("v2", { path: "/run/a.sock" }), { path: "/run/infer.v2.sock" });
  assertEquals(at("embed", { path: "/a.sock" }), { path: "/infer.embed.sock" });
  assertEquals(at("rerank", { path: "a.sock" }), { path: "./infer.rerank.sock" });
  assertEquals(at("rerank", { path: "/run/a.sock", paths: { v2: "/x", rerank: "/r.sock" } }), { path: "/r.sock" });
  assertEquals(at("embed", { paths: { embed: "/e.sock" } }), { path: "/e.sock" });
  assertEquals(at("v2", { path: "/run/a.sock", paths: { embed: "/x" } }), { path: "/run/infer.v2.sock" });
  assertEquals(at("v2", { tcp: {} }), { hostname: "127.0.0.1", port: 47322 });
  assertEquals(at("embed", { tcp: { hostname: "::1", port: 5, apiKey: "k" } }), {
    hostname: "::1",
    port: 47323,
    apiKey: "k",
  });
  assertEquals(at("rerank", { tcp: { ports: { rerank: 6 } } }), { hostname: "127.0.0.1", port: 6 });
});

Deno.test("the other surfaces are where the environment says when the caller names none", () => {
  const at = (env: Record<string, string>, options: ConnectOptions = {}): unknown =>
    surfaceEndpoint("embed", options, facts({ HOME: "/home/ada", ...env }));
  const tcp = { INFERD_TCP: "ada:5", INFERD_EMBED_TCP: "eve", INFERD_API_KEY: "k" };
  const paths = { INFERD_UDS: "/run/a.sock", INFERD_EMBED_ADDR: "/e.sock" };
  assertEquals(at({ ...paths, ...tcp }), { path: "/e.sock" });
  assertEquals(at({ ...paths, ...tcp, INFERD_EMBED_ADDR: "" }), { path: "/run/infer.embed.sock" });
  assertEquals(at(tcp), { hostname: "eve", port: 47323, apiKey: "k" });
  assertEquals(at({ ...tcp, INFERD_EMBED_TCP: "" }), { hostname: "ada", port: 47323, apiKey: "k" });
  assertEquals(at({}), { path: "/home/ada/.inferd/run/infer.embed.sock" });
  assertEquals(at({ INFERD_UDS: "/run/a.sock" }, { paths: { v2: "/x" } }), { path: "/run/infer.embed.sock" });
});

Deno.test("what is said of other surfaces is checked before they are used", () => {
  const wrong: [ConnectOptions, typeof Error, string][] = [
    [{ path: "/a", paths: { v2: "" } }, TypeError, "socket path"],
    [{ path: "/a", paths: { rerank: "/" + "a".repeat(200) } }, RangeError, "201 bytes"],
    [{ tcp: { ports: { embed: 0 } } }, RangeError, "port 0"],
    [{ tcp: {}, paths: { v2: "/a" } }, TypeError, 'Cannot combine "paths" with "tcp"'],
  ];
  for (const [options, type, text] of wrong) assertThrows(() => checkSurfaces(options, NOBODY), type, text);
  checkSurfaces({ path: "/a", paths: { v2: undefined }, tcp: undefined }, NOBODY);
});

Deno.test("a socket path may have as many bytes as the system's address holds", () => {
  for (const [platform, most] of [["linux", 107], ["darwin", 103]] as const) {
    const longest = "/" + "a".repeat(most - 1);
    assertEquals(surfaceEndpoint("infer", { path: longest }, facts({}, platform)), { path: longest });
    assertThrows(
      () => surfaceEndpoint("infer", { path: `${longest}a` }, facts({}, platform)),
      RangeError,
      `at most ${most} fit`,
    );
  }
});

Deno.test("a socket path that is too long names every variable or option that sets it", () => {
  const long = `/${"a".repeat(120)}`;
  const advice = (env: Record<string, string>, expected: string, options: ConnectOptions = {}): void => {
    assertThrows(() => surfaceEndpoint("v2", options, facts(env)), RangeError, expected);
  };
  advice({ INFERD_V2_ADDR: long }, "set INFERD_V2_ADDR to a shorter path");
  advice({ INFERD_UDS: `${long}/infer.sock` }, "set INFERD_V2_ADDR or INFERD_UDS to a shorter path");
  advice({ XDG_RUNTIME_DIR: long }, "set XDG_RUNTIME_DIR to a shorter folder, or INFERD_V2_ADDR to a shorter path");
  advice({}, 'pass a shorter "paths.v2"', { paths: { v2: long } });
  advice({}, 'pass a shorter "path", or "paths.v2"', { path: `${long}/infer.sock` });
  assertThrows(
    () => unixSurfaceEndpoint("admin", undefined, facts({ INFERD_ADMIN_ADDR: long })),
    RangeError,
    "set INFERD_ADMIN_ADDR to a shorter path",
  );
});

Deno.test("no daemon is waited for where not all of its sockets would fit", () => {
  const folder = `/${"f".repeat(88)}`;
  assertEquals([whyNoDaemon(`${folder}/infer.sock`, NOBODY), whyNoDaemon("/a/infer.sock", NOBODY)], [
    undefined,
    undefined,
  ]);
  const long = `/${"f".repeat(92)}`;
  assertEquals(
    whyNoDaemon(`${long}/infer.sock`, NOBODY),
    `no daemon can start there, because of "${long}/infer.rerank.sock": it has 111 bytes, at most 107 fit; set ` +
      "XDG_RUNTIME_DIR to a shorter folder",
  );
  // Where somebody has chosen the name, nobody knows where the others are.
  assertEquals(whyNoDaemon(`${long}/mine.sock`, NOBODY), undefined);
});

Deno.test("an endpoint's name does not tell the API key", () => {
  assertEquals(endpointName({ path: "/a.sock" }), "unix:/a.sock");
  assertEquals(endpointName({ hostname: "::1", port: 5, apiKey: "secret" }), "tcp:[::1]:5");
});

Deno.test("dispatch is where the caller, the environment or the runtime directory says", () => {
  assertEquals(unixSurfaceEndpoint("dispatch", "/a.sock", NOBODY), { path: "/a.sock" });
  assertEquals(unixSurfaceEndpoint("dispatch", undefined, facts({ INFERD_RPC_ADDR: "/b.sock" })), { path: "/b.sock" });
  assertEquals(unixSurfaceEndpoint("dispatch", undefined, facts({ INFERD_RPC_ADDR: "", HOME: "/home/ada" })), {
    path: "/home/ada/.inferd/run/rpc.sock",
  });
  assertThrows(() => unixSurfaceEndpoint("dispatch", "", NOBODY), TypeError);
});

Deno.test("a daemon is started as the caller says, else as the environment does", () => {
  const xdg = { XDG_RUNTIME_DIR: "/run/user/501" };
  const standard = {
    command: "inferd",
    args: ["serve"],
    env: {},
    logPath: "/run/user/501/inferd/inferd.spawn.log",
    ownLog: true,
    lockPath: "/run/user/501/inferd/inferd.spawn.lock",
    runtimeDir: "/run/user/501/inferd",
    uid: 501,
    timeoutMs: 5_000,
  };
  assertEquals(spawnPlan({ spawn: true }, facts(xdg)), standard);
  assertEquals(spawnPlan({ spawn: {} }, facts({ ...xdg, INFERD_COMMAND: "/opt/inferd" })), {
    ...standard,
    command: "/opt/inferd",
  });
  const spawn = { command: "deno", args: ["run", "x"], env: { A: "b" }, logPath: "/l", timeoutMs: 1 };
  const sockets = {
    path: "/i.sock",
    paths: { v2: "/v.sock", embed: "/e.sock", rerank: "/r.sock" },
    adminPath: "/a.sock",
  };
  assertEquals(spawnPlan({ ...sockets, spawn }, facts({ ...xdg, INFERD_COMMAND: "other" })), {
    ...standard,
    ...spawn,
    env: {
      INFERD_UDS: "/i.sock",
      INFERD_V2_ADDR: "/v.sock",
      INFERD_EMBED_ADDR: "/e.sock",
      INFERD_RERANK_ADDR: "/r.sock",
      INFERD_ADMIN_ADDR: "/a.sock",
      A: "b",
    },
    ownLog: false,
  });
  assertThrows(() => spawnPlan({ spawn: { command: "" } }, facts(xdg)), TypeError, "command");
  assertThrows(() => spawnPlan({ spawn: { timeoutMs: NaN } }, facts(xdg)), RangeError, "timeoutMs");
});

Deno.test("surfaceEndpoint finds a surface by its row alone when the table has one more", () => {
  const table = {
    ...SURFACES,
    score: {
      title: "scores",
      service: "score",
      socket: "infer.score",
      flag: "score-addr",
      variable: "INFERD_SCORE_ADDR",
      tcp: { port: 47329, flag: "score-tcp", variable: "INFERD_SCORE_TCP" },
    },
  };
  const at = (env: Record<string, string>, options: ConnectOptions = {}): unknown =>
    surfaceEndpoint("score" as SurfaceName, options, facts({ HOME: "/h", ...env }), table);
  assertEquals(at({}), { path: "/h/.inferd/run/infer.score.sock" });
  assertEquals(at({ INFERD_UDS: "/run/a.sock" }), { path: "/run/infer.score.sock" });
  assertEquals(at({ INFERD_SCORE_ADDR: "/s.sock", INFERD_UDS: "/run/a.sock" }), { path: "/s.sock" });
  assertEquals(at({ INFERD_SCORE_TCP: "ada" }), { hostname: "ada", port: 47329 });
  assertEquals(at({}, { tcp: { hostname: "eve" } }), { hostname: "eve", port: 47329 });
  assertEquals(at({}, { path: "/x/infer.sock" }), { path: "/x/infer.score.sock" });
});
