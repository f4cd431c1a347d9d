import { assertEquals, assertThrows } from "@std/assert";
import { adminEndpoint, endpointName, inferEndpoint, type ProcessFacts } from "../../client/options.ts";

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
  assertEquals(inferEndpoint({ path: "/a.sock" }, NOBODY), { path: "/a.sock" });
  assertEquals(inferEndpoint({ tcp: {} }, NOBODY), { hostname: "127.0.0.1", port: 47321 });
  assertEquals(inferEndpoint({ tcp: { hostname: "::1", port: 5, apiKey: "k" } }, NOBODY), {
    hostname: "::1",
    port: 5,
    apiKey: "k",
  });
  assertEquals(adminEndpoint("/b.sock", NOBODY), { path: "/b.sock" });
});

Deno.test("the endpoint is what the environment says when the caller does not", () => {
  const tcp = { INFERD_TCP: "localhost:5", INFERD_API_KEY: "k", HOME: "/home/ada" };
  assertEquals(inferEndpoint({}, facts({ ...tcp, INFERD_UDS: "/a.sock" })), { path: "/a.sock" });
  assertEquals(inferEndpoint({}, facts({ ...tcp, INFERD_UDS: "" })), { hostname: "localhost", port: 5, apiKey: "k" });
  assertEquals(inferEndpoint({}, facts({ ...tcp, INFERD_API_KEY: "" })), { hostname: "localhost", port: 5 });
  assertEquals(inferEndpoint({}, facts({ ...tcp, INFERD_TCP: "" })), { path: "/home/ada/.inferd/run/infer.sock" });
  assertThrows(() => inferEndpoint({}, facts({ INFERD_TCP: "a:b:c" })), TypeError, '"a:b:c"');
  assertEquals(adminEndpoint(undefined, facts({ INFERD_ADMIN_ADDR: "/c.sock" })), { path: "/c.sock" });
});

Deno.test("the endpoint is in the runtime directory when nobody says otherwise", () => {
  const xdg = facts({ XDG_RUNTIME_DIR: "/run/user/501" });
  assertEquals(inferEndpoint({}, xdg), { path: "/run/user/501/inferd/infer.sock" });
  assertEquals(adminEndpoint(undefined, xdg), { path: "/run/user/501/inferd/admin.sock" });
  assertEquals(inferEndpoint({}, facts({})), { path: "/tmp/inferd-501/infer.sock" });
});

Deno.test("a socket path may have as many bytes as the system's address holds", () => {
  for (const [platform, most] of [["linux", 107], ["darwin", 103]] as const) {
    const longest = "/" + "a".repeat(most - 1);
    assertEquals(inferEndpoint({ path: longest }, facts({}, platform)), { path: longest });
    assertThrows(() => inferEndpoint({ path: `${longest}a` }, facts({}, platform)), RangeError, `at most ${most} fit`);
  }
});

Deno.test("an endpoint's name does not tell the API key", () => {
  assertEquals(endpointName({ path: "/a.sock" }), "unix:/a.sock");
  assertEquals(endpointName({ hostname: "::1", port: 5, apiKey: "secret" }), "tcp:[::1]:5");
});
