/** Downloads that HTTP clients ask for: what reads the clients may not do what the worker does. */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { huggingFace } from "../../src/config/resolve.ts";
import { httpPermissionFlags } from "../../src/monitor/permissions/permissions.ts";
import { daemonOptions } from "../support/daemons.ts";
import { denoDir } from "../support/program.ts";
import { Hub } from "../support/hub.ts";
import { modelBytes, TempStore } from "../support/model_store.ts";

const CHILD = fromFileUrl(new URL("../support/pull_child.ts", import.meta.url));

Deno.test("the bridge's own thread can neither write to the store nor reach the hub when the worker downloads", async () => {
  const content = modelBytes(5000);
  await using hub = new Hub("owner/Some-GGUF", { "Some-Q4_K_M.gguf": content.length }, content);
  await using store = new TempStore();
  const env: Record<string, string> = {
    HOME: store.dir,
    DENO_DIR: denoDir(),
    HF_ENDPOINT: hub.url,
    HF_TOKEN: "hf_secret",
  };
  const { http } = daemonOptions(store.dir);
  const flags = httpPermissionFlags(daemonOptions(store.dir, { http: { ...http, pullInto: store.root } }), {
    env: ["HOME"],
    execPath: Deno.execPath(),
    huggingFace: () => huggingFace((name) => env[name]),
  });
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    clearEnv: true,
    args: ["run", "--no-check", "--quiet", ...flags, CHILD, store.root, hub.url, "hf:owner/Some-GGUF"],
    env,
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(JSON.parse(new TextDecoder().decode(stdout)), {
    may_still: { write: false, read: false, connect: false, token: false },
    status: "success",
  });
  assertEquals((await store.find("Some-Q4_K_M"))?.present, true);
});
