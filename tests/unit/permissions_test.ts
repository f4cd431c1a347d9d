import { assertEquals } from "@std/assert";
import { permissionFlags } from "../../src/permissions.ts";
import { LIBC_PATHS } from "../../src/server/peer.ts";
import { daemonOptions } from "../support/daemons.ts";

const CONTEXT = { env: ["HOME", "INFERD_TCP"], execPath: "/bin/deno" };
const LLAMA = { kind: "llamacpp", name: "llamacpp", modelName: "m" } as const;
const linux = Deno.build.os === "linux" ? [`--allow-ffi=${LIBC_PATHS.join()}`] : [];

Deno.test("permissionFlags names every path, socket and program when a model is configured", () => {
  const options = daemonOptions("/d", {
    backends: [{ ...LLAMA, modelPath: "/models/a,b.gguf" }],
    inferTcp: { hostname: "::1", port: 4000 },
    group: "staff",
    lockPath: "/locks/x.lock",
  });
  assertEquals(permissionFlags(options, CONTEXT), [
    "--no-prompt",
    "--allow-read=/d/run,/locks/x.lock,/locks/inferd.pid,/d/run/admin.sock,/d/run/infer.sock,/d/logs,/etc/group," +
    "/models/a,,b.gguf",
    "--allow-write=/d/run,/locks/x.lock,/d/run/admin.sock,/d/run/infer.sock,/locks/inferd.pid,/d/logs",
    "--allow-net=unix:/d/run/admin.sock,unix:/d/run/infer.sock,[::1]:4000",
    "--allow-run=/bin/deno",
    ...linux,
    "--allow-sys=uid",
    "--allow-env=HOME,INFERD_TCP",
  ]);
});

Deno.test("permissionFlags gives neither run nor a model when nothing but a mock answers", () => {
  assertEquals(permissionFlags(daemonOptions("/d"), CONTEXT), [
    "--no-prompt",
    "--allow-read=/d/run,/d/run/inferd.lock,/d/run/inferd.pid,/d/run/admin.sock,/d/run/infer.sock,/d/logs",
    "--allow-write=/d/run,/d/run/inferd.lock,/d/run/admin.sock,/d/run/infer.sock,/d/run/inferd.pid,/d/logs",
    "--allow-net=unix:/d/run/admin.sock,unix:/d/run/infer.sock",
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
