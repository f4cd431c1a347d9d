import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { DaemonOptions, LlamaBackendConfig } from "../../../../src/config/options.ts";
import { UsageError } from "../../../../src/config/setting/usage_error.ts";
import {
  daemonEnvironment,
  httpPermissionFlags,
  monitorPermissionFlags,
  permissionFlags,
} from "../../../../src/monitor/permissions/permissions.ts";
import { HUGGING_FACE_VARIABLES } from "../../../../src/models/transfer/access.ts";
import { ENGINE_ENVIRONMENT } from "../../../../src/engine/ipc/command.ts";
import type { PermissionSet } from "../../../../src/monitor/permissions/permission_set.ts";
import { TELEMETRY_VARIABLES } from "../../../../src/monitor/telemetry.ts";
import { privateSocketPath } from "../../../../src/processes/orders.ts";
import { LIBC_PATHS } from "../../../../src/server/kernel.ts";
import { daemonOptions } from "../../../support/daemons.ts";

const CONTEXT = { env: ["HOME", "INFERD_TCP"], execPath: "/bin/deno" };
const LLAMA = { kind: "llamacpp", name: "llamacpp", modelName: "inferd-tiny" } as const;
const SOCKETS = ["infer", "infer.v2", "infer.embed", "infer.rerank", "rpc"].map((name) => `/d/run/${name}.sock`).join();
/** Where what the monitor starts meets the daemon. */
const MEETING = privateSocketPath({ runtimeDir: "/d/run", lockPath: "/d/run/inferd.lock" });
/** Where the hashes of models are kept that nobody has configured. */
const HASHES = "/d/run/model-hashes.json,/d/run/model-hashes.json.tmp";
const linux = Deno.build.os === "linux" ? [`--allow-ffi=${LIBC_PATHS.join()}`] : [];

Deno.test("permissionFlags names every path, socket and program when a model is configured", () => {
  const options = daemonOptions("/d", {
    backends: [{ ...LLAMA, modelPath: "/models/a b.gguf" }],
    listen: { ...daemonOptions("/d").listen, embed: { socket: "/s/embed.sock", tcp: { hostname: "::1", port: 4000 } } },
    group: "staff",
    lockPath: "/locks/x.lock",
  });
  const sockets = SOCKETS.replace("/d/run/infer.embed.sock", "/s/embed.sock");
  const meeting = privateSocketPath(options);
  assertEquals(permissionFlags(options, CONTEXT), [
    "--no-prompt",
    `--allow-read=/d/run,/locks/x.lock,/locks/x.pid,/d/run/admin.sock,${sockets},/d/logs,/etc/group,${meeting},/models/a b.gguf,${HASHES}`,
    `--allow-write=/d/run,/locks/x.lock,/d/run/admin.sock,${sockets},/locks/x.pid,/d/logs,${meeting},${HASHES}`,
    `--allow-net=unix:/d/run/admin.sock,unix:${sockets.replaceAll(",", ",unix:")},[::1]:4000,unix:${meeting}`,
    ...linux,
    "--allow-sys=uid",
    "--allow-env=HOME,INFERD_TCP,NOTIFY_SOCKET,WATCHDOG_USEC",
  ]);
});

Deno.test("permissionFlags gives no model when nothing but a mock answers", () => {
  assertEquals(permissionFlags(daemonOptions("/d"), CONTEXT), [
    "--no-prompt",
    `--allow-read=/d/run,/d/run/inferd.lock,/d/run/inferd.pid,/d/run/admin.sock,${SOCKETS},/d/logs,${MEETING}`,
    `--allow-write=/d/run,/d/run/inferd.lock,/d/run/admin.sock,${SOCKETS},/d/run/inferd.pid,/d/logs,${MEETING}`,
    `--allow-net=unix:/d/run/admin.sock,unix:${SOCKETS.replaceAll(",", ",unix:")},unix:${MEETING}`,
    ...linux,
    "--allow-sys=uid",
    "--allow-env=HOME,INFERD_TCP,NOTIFY_SOCKET,WATCHDOG_USEC",
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
  assertEquals(of("env"), ["NO_PROXY", "FAR_KEY", "HOME", "INFERD_TCP", "NOTIFY_SOCKET", "WATCHDOG_USEC"]);
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

Deno.test("permissionFlags names every file of a split model, and what looking a model up takes", () => {
  const of = (backend: Partial<LlamaBackendConfig>, name: string, more: Partial<DaemonOptions> = {}): string[] => {
    const options = daemonOptions("/d", {
      backends: [{ ...LLAMA, ...backend }],
      modelsHome: "/m",
      autoPull: true,
      ...more,
    });
    return permissionFlags(options, CONTEXT).find((flag) => flag.startsWith(`--allow-${name}=`))?.split("=")[1]?.split(
      ",",
    ) ??
      [];
  };
  const beside = of({ modelPath: "/x-00001-of-00002.gguf" }, "read");
  assertEquals(beside.filter((path) => path.startsWith("/x")), ["/x-00001-of-00002.gguf", "/x-00002-of-00002.gguf"]);
  const parts = [{ path: "/m/blobs/1", sha256: "1" }, { path: "/m/blobs/2", sha256: "2" }];
  const stored = of({ modelPath: "/m/blobs/1", parts, stored: "name" }, "read");
  assertEquals(stored.filter((path) => path.startsWith("/m")), [
    "/m/manifests",
    "/m/blobs/sha256",
    "/m/blobs/1",
    "/m/blobs/2",
  ]);
  assertEquals(of({ missing: "no" }, "read").filter((path) => path.startsWith("/m")), [
    "/m/manifests",
    "/m/blobs/sha256",
  ]);
  // Which blobs it will have, nobody knows yet.
  const source = { url: "https://huggingface.co/o/r/resolve/main/x-00001-of-00002.gguf" };
  const huggingFace = { huggingFace: { tokenPath: "/h/token" } };
  assertEquals(of({ source }, "read", huggingFace).filter((path) => /^\/[mh]/.test(path)), [
    "/m",
    "/h/token",
    "/m/blobs/sha256",
  ]);
  assertEquals(of({ source }, "write").includes("/m"), true);
  assertEquals(of({ source }, "env").filter((name) => name.startsWith("HF_TOKEN")), ["HF_TOKEN", "HF_TOKEN_PATH"]);
  assertEquals(of({ modelPath: "/x.gguf" }, "env"), [
    ...CONTEXT.env,
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
  ]);
});

Deno.test("httpPermissionFlags gives the sockets and one address, and nothing to write or start", () => {
  const http = { enabled: true, address: { hostname: "::1", port: 8080 }, origins: [], aliases: {} };
  const options = daemonOptions("/d", { backends: [LLAMA], http, apiKeyFile: "/keys/http" });
  const sockets = `${SOCKETS},/d/run/admin.sock`;
  assertEquals(httpPermissionFlags(options, CONTEXT), [
    "--no-prompt",
    `--allow-read=${sockets},/keys/http`,
    `--allow-write=${sockets}`,
    `--allow-net=unix:${sockets.replaceAll(",", ",unix:")},[::1]:8080`,
    "--allow-sys=uid",
    "--allow-env=HOME,INFERD_TCP",
    // To refuse a debugger; given back before it listens.
    ...linux,
  ]);
});

Deno.test("httpPermissionFlags gives the store and the hub where clients may download, and the daemon neither", () => {
  const http = { ...daemonOptions("/d").http, enabled: true, pullInto: "/models" };
  const options = daemonOptions("/d", { http });
  const valuesOf = (flags: readonly string[], name: string): readonly string[] =>
    flags.find((flag) => flag.startsWith(`--allow-${name}=`))?.split("=")[1]?.split(",") ?? [];
  const context = { ...CONTEXT, huggingFace: () => ({ endpoint: "https://hub.example", tokenPath: "/token" }) };
  const flags = httpPermissionFlags(options, context);
  const without = httpPermissionFlags(
    daemonOptions("/d", { http: { ...daemonOptions("/d").http, enabled: true } }),
    context,
  );
  const more = (name: string): readonly string[] =>
    valuesOf(flags, name).filter((value) => !valuesOf(without, name).includes(value));
  assertEquals(flags.filter((flag) => !flag.startsWith("--allow-")), ["--unstable-worker-options", "--no-prompt"]);
  assertEquals(more("read"), ["/models", "/token", fromFileUrl(new URL("../../../../", import.meta.url))]);
  assertEquals(more("write"), ["/models"]);
  assertEquals(more("net"), ["hub.example:443"]);
  assertEquals(more("sys"), ["statfs", "systemMemoryInfo"]);
  assertEquals(more("env"), HUGGING_FACE_VARIABLES);
  assertEquals(permissionFlags(options, context), permissionFlags(daemonOptions("/d"), context));
  const hub = httpPermissionFlags(options, CONTEXT);
  assert(valuesOf(hub, "net").includes("huggingface.co:443"));
  // The monitor hands the token to the bridge.
  assert(valuesOf(monitorPermissionFlags(options, context), "env").includes("HF_TOKEN"));
});

Deno.test("permissionFlags gives run to no daemon", () => {
  const { http } = daemonOptions("/d");
  const options = daemonOptions("/d", { http: { ...http, enabled: true }, backends: [{ ...LLAMA, modelPath: "/m" }] });
  assertEquals(permissionFlags(options, CONTEXT).filter((flag) => flag.startsWith("--allow-run")), []);
});

Deno.test("permissionFlags refuses a path with a comma, or passes all permissions as a set", () => {
  const options = daemonOptions("/d", { backends: [{ ...LLAMA, modelPath: "/models/a,b.gguf" }] });
  assertThrows(
    () => permissionFlags(options, CONTEXT),
    UsageError,
    'Cannot express "/models/a,b.gguf" as a flag of Deno: it has a comma. Put {"permissions":{"default":{"read":[',
  );
  let passed: PermissionSet = {};
  const passSet = (set: PermissionSet): string[] => {
    passed = set;
    return ["-P"];
  };
  assertEquals(permissionFlags(options, { ...CONTEXT, passSet }), ["--no-prompt", "-P"]);
  assertEquals([passed.read?.includes("/models/a,b.gguf"), passed.sys], [true, ["uid"]]);
});

Deno.test("monitorPermissionFlags allows to read anything where a path has a comma, and no more", () => {
  const [named, whole] = ["/c/config.json", "/c,d/config.json"].map((configPath) =>
    monitorPermissionFlags(daemonOptions("/d"), { ...CONTEXT, configPath })
  );
  assertEquals(whole, named?.map((flag) => flag.startsWith("--allow-read=") ? "--allow-read" : flag));
});

Deno.test("monitorPermissionFlags gives what starting the daemon takes, and nothing to write or connect to", () => {
  const options = daemonOptions("/d", {
    backends: [{ ...LLAMA, stored: "name", modelPath: "/m/x" }],
    modelsHome: "/m",
  });
  const context = { ...CONTEXT, configPath: "/c/config.json" };
  assertEquals(monitorPermissionFlags(options, context), [
    "--no-prompt",
    "--allow-read=/c/config.json,/m/manifests",
    "--allow-run=/bin/deno",
    ...linux,
    "--allow-sys=uid",
    `--allow-env=${[...new Set([...daemonEnvironment(options, context), ...ENGINE_ENVIRONMENT])].join()}`,
  ]);
});

Deno.test("monitorPermissionFlags lets it read OpenTelemetry's variables where it starts the bridge, and the daemon none of them", () => {
  const off = daemonOptions("/d");
  const on = daemonOptions("/d", { http: { ...off.http, enabled: true } });
  const envOf = (flags: readonly string[]): readonly string[] =>
    flags.find((flag) => flag.startsWith("--allow-env="))?.slice("--allow-env=".length).split(",") ?? [];
  const isTelemetry = (name: string): boolean => name.startsWith("OTEL_");
  assertEquals(envOf(monitorPermissionFlags(off, CONTEXT)).filter(isTelemetry), []);
  assertEquals(envOf(monitorPermissionFlags(on, CONTEXT)).filter(isTelemetry), [...TELEMETRY_VARIABLES]);
  assertEquals(envOf(permissionFlags(on, CONTEXT)).filter(isTelemetry), []);
});
