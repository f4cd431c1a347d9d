/** A runtime directory in /tmp that somebody else may have made. */
import { assertEquals, assertRejects } from "@std/assert";
import { ConnectError } from "@inferd/client";
import { Transport } from "../../client/wire/transport.ts";

const NEVER = new AbortController().signal;
const OWN = Deno.uid() ?? 0;

Deno.test("a client refuses a socket in a shared place unless its folder is this user's alone", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  const path = `${dir}/infer.sock`;
  const link = `${dir}-link`;
  await Deno.symlink(dir, link);
  const listener = Deno.listen({ transport: "unix", path });
  const accepted = new Set<Deno.UnixConn>();
  const accepting = (async () => {
    for await (const conn of listener) accepted.add(conn);
  })();
  try {
    const refused = async (folder: { readonly path: string; readonly uid: number }, why: string): Promise<void> => {
      const error = await assertRejects(() => Transport.open({ path, folder }, NEVER), ConnectError);
      assertEquals(
        error.message,
        `Cannot connect to "unix:${path}": the folder "${folder.path}" ${why}. Set XDG_RUNTIME_DIR or HOME`,
      );
      assertEquals(error.retryable, false);
    };
    await refused({ path: dir, uid: OWN + 1 }, `belongs to user ${OWN}`);
    await refused({ path: link, uid: OWN }, "is not a folder");
    await refused({ path, uid: OWN }, "is not a folder");
    await Deno.chmod(dir, 0o777);
    await refused({ path: dir, uid: OWN }, "may be written by others");
    assertEquals(accepted.size, 0);
    await Deno.chmod(dir, 0o700);
    const transport = await Transport.open({ path, folder: { path: dir, uid: OWN } }, NEVER);
    transport.close();
    // One that is not there is waited for, as any other.
    const missing = { path: `${dir}/no/infer.sock`, folder: { path: `${dir}/no`, uid: OWN } };
    const error = await assertRejects(() => Transport.open(missing, NEVER), ConnectError, "there is no such socket");
    assertEquals(error.retryable, true);
  } finally {
    listener.close();
    await accepting;
    for (const conn of accepted) conn.close();
    await Deno.remove(link);
    await Deno.remove(dir, { recursive: true });
  }
});
