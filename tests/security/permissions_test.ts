/** Threat: whoever takes over the process that parses what clients send gets what that process may do. */
import { assertEquals } from "@std/assert";
import { builtInModelFile } from "../../src/models/built_in.ts";
import { Sandbox } from "../support/program.ts";

Deno.test("the daemon keeps only what serving and restarting need when it is ready", async () => {
  await using box = new Sandbox();
  const { stdout } = await box.run(["permissions"]);
  await using daemon = await box.serve([], { permissions: stdout.trim().split(" ") });
  await daemon.stderr.has("permissions_left");
  // Who connects is still known, with the library's permission given back.
  const client = await Deno.connect({ transport: "unix", path: `${box.runtimeDir}/infer.sock` });
  await client.write(new TextEncoder().encode("{}\n"));
  await client.read(new Uint8Array(1024));
  client.close();
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);

  const records = Deno.readTextFileSync(`${box.dir}/logs/inferd.ndjson`).trim().split("\n");
  const record = records.map((line) => JSON.parse(line)).find(({ msg }) => msg === "permissions_left");
  const at = box.runtimeDir;
  const sockets = ["infer", "infer.v2", "infer.embed", "infer.rerank", "rpc"].map((name) => `${at}/${name}.sock`);
  assertEquals(
    [...record.left].sort(),
    [
      ...sockets.flatMap((path) => [`net=unix:${path}`, `read=${path}`, `write=${path}`]),
      `read=${at}/admin.sock`,
      `read=${box.dir}/logs`,
      `read=${builtInModelFile({ cacheDir: "" })}`,
      `run=${Deno.execPath()}`,
      `write=${at}/admin.sock`,
      `write=${at}/inferd.pid`,
      `write=${box.dir}/logs`,
    ].sort(),
  );
});
