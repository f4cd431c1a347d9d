import { assertEquals } from "@std/assert";
import { checkRemotes } from "../../../../src/cli/doctor/remotes.ts";
import { daemonOptions } from "../../../support/daemons.ts";

Deno.test("checkRemotes says through which proxy each remote backend asks, and which proxy is not used", () => {
  const remote = { kind: "openai-compat", model: "m", timeoutSecs: 300 } as const;
  const proxy = "http://me:secret@proxy.example:3128";
  const backends = [
    { ...remote, name: "a", baseUrl: "https://models.example/v1" },
    { ...remote, name: "b", baseUrl: "https://models.example/v1", proxy },
    { ...remote, name: "c", baseUrl: "http://10.0.0.7:8000/v1", proxy },
    { kind: "mock", name: "d", script: {} } as const,
  ];
  assertEquals(checkRemotes(daemonOptions("/d", { backends })).map(({ level, message }) => `${level} ${message}`), [
    'ok Backend "a" is reached at "models.example" directly; the environment\'s proxies are not used',
    'ok Backend "b" is reached at "models.example" through the proxy "proxy.example:3128"',
    'warn Backend "c" does not use its proxy: "10.0.0.7" is on this machine or in a private network',
  ]);
});
