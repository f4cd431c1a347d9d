import { assertEquals } from "@std/assert";
import { permissionFlags } from "../../src/permissions.ts";
import { LIBC_PATHS } from "../../src/server/peer.ts";
import { daemonOptions } from "../support/daemons.ts";

const CONTEXT = { env: ["HOME", "INFERD_TCP"], execPath: "/bin/deno" };
const LLAMA = { kind: "llamacpp", name: "llamacpp", modelName: "inferd-tiny" } as const;
const SOCKETS = ["infer", "infer.v2", "infer.embed", "infer.rerank", "rpc"].map((name) => `/d/run/${name}.sock`).join();
const linux = Deno.build.os === "linux" ? [`--allow-ffi=${LIBC_PATHS.join()}`] : [];

Deno.test("permissionFlags names every path, socket and program when a model is configured", () => {
  const options = daemonOptions("/d", {
    backends: [{ ...LLAMA, modelPath: "/models/a,b.gguf" }],
    listen: { ...daemonOptions("/d").listen, embed: { socket: "/s/embed.sock", tcp: { hostname: "::1", port: 4000 } } },
    group: "staff",
    lockPath: "/locks/x.lock",
  });
  const sockets = SOCKETS.replace("/d/run/infer.embed.sock", "/s/embed.sock");
  assertEquals(permissionFlags(options, CONTEXT), [
    "--no-prompt",
    `--allow-read=/d/run,/locks/x.lock,/locks/inferd.pid,/d/run/admin.sock,${sockets},/d/logs,/etc/group,/models/a,,b.gguf`,
    `--allow-write=/d/run,/locks/x.lock,/d/run/admin.sock,${sockets},/locks/inferd.pid,/d/logs`,
    `--allow-net=unix:/d/run/admin.sock,unix:${sockets.replaceAll(",", ",unix:")},[::1]:4000`,
    "--allow-run=/bin/deno",
    ...linux,
    "--allow-sys=uid",
    "--allow-env=HOME,INFERD_TCP",
  ]);
});

Deno.test("permissionFlags gives neither run nor a model when nothing but a mock answers", () => {
  assertEquals(permissionFlags(daemonOptions("/d"), CONTEXT), [
    "--no-prompt",
    `--allow-read=/d/run,/d/run/inferd.lock,/d/run/inferd.pid,/d/run/admin.sock,${SOCKETS},/d/logs`,
    `--allow-write=/d/run,/d/run/inferd.lock,/d/run/admin.sock,${SOCKETS},/d/run/inferd.pid,/d/logs`,
    `--allow-net=unix:/d/run/admin.sock,unix:${SOCKETS.replaceAll(",", ",unix:")}`,
    ...linux,
    "--allow-sys=uid",
    "--allow-env=HOME,INFERD_TCP",
  ]);
});

Deno.test("permissionFlags gives the registry and the cache folder when the sources lie elsewhere", () => {
  const options = daemonOptions("/d", { backends: [LLAMA], cacheDir: "/cache" });
  const builtInUrl = new URL("https://registry.example/models/inferd-tiny.gguf");
  const flags = permissionFlags(options, { ...CONTEXT, builtInUrl });
  const of = (name: string): string[] =>
    flags.find((flag) => flag.startsWith(`--allow-${name}=`))?.split("=")[1]?.split(",") ?? [];
  assertEquals(of("read").slice(-2), ["/cache/inferd-tiny-5e8af1a3d5ca.gguf", "/cache"]);
  assertEquals(of("write").at(-1), "/cache");
  assertEquals(of("net").at(-1), "registry.example");
});

Deno.test("permissionFlags names the remote server, its key's variable and the files with keys when there are such", () => {
  const backend = { kind: "openai-compat", name: "far", model: "m", timeoutSecs: 300 } as const;
  const options = daemonOptions("/d", {
    backends: [
      { ...backend, baseUrl: "https://models.example/v1", apiKeyEnv: "FAR_KEY" },
      { ...backend, name: "near", baseUrl: "http://127.0.0.1:8080/v1" },
    ],
    apiKeyFile: "/keys/api",
  });
  const flags = permissionFlags(options, { ...CONTEXT, configPath: "/c/config.json" });
  const of = (name: string): string[] =>
    flags.find((flag) => flag.startsWith(`--allow-${name}=`))?.split("=")[1]?.split(",") ?? [];
  assertEquals(of("net").slice(-2), ["models.example:443", "127.0.0.1:8080"]);
  assertEquals(of("read").slice(-2), ["/c/config.json", "/keys/api"]);
  assertEquals(of("env"), ["NO_PROXY", "FAR_KEY", "HOME", "INFERD_TCP"]);
  assertEquals(of("run"), []);
});

Deno.test("permissionFlags names the proxy that a remote server is asked through, and none that is not used", () => {
  const backend = { kind: "openai-compat", name: "far", model: "m", timeoutSecs: 300 } as const;
  const net = (baseUrl: string, proxy: string): string[] =>
    permissionFlags(daemonOptions("/d", { backends: [{ ...backend, baseUrl, proxy }] }), CONTEXT)
      .find((flag) => flag.startsWith("--allow-net="))?.split(",").filter((host) => !host.includes("unix:")) ?? [];
  const far = "https://models.example/v1";
  // Deno asks for both, and connects to the proxy alone.
  assertEquals(net(far, "http://me:secret@proxy.example:3128"), ["proxy.example:3128", "models.example:443"]);
  assertEquals(net(far, "https://proxy.example"), ["proxy.example:443", "models.example:443"]);
  assertEquals(net(far, "socks5h://[::1]"), ["[::1]:1080", "models.example:443"]);
  assertEquals(net("http://10.0.0.7:8000/v1", "http://proxy.example:3128"), ["10.0.0.7:8000"]);
});
