import { assertEquals, assertThrows } from "@std/assert";
import { closedFolder, GroupError, groupId, socketsBehindClosedFolders } from "../../../src/server/group.ts";

const onUnix = { ignore: Deno.build.os === "windows" };
const GID = Deno.gid() ?? 0;
const OTHER_GID = GID + 1;

async function withFolders(test: (outer: string, inner: string) => void): Promise<void> {
  const outer = await Deno.makeTempDir({ prefix: "inferd-" });
  const inner = `${outer}/inner`;
  await Deno.mkdir(inner);
  await Deno.chmod(outer, 0o755);
  try {
    test(outer, inner);
  } finally {
    await Deno.remove(outer, { recursive: true });
  }
}

Deno.test(
  "closedFolder names the nearest folder that a group may not enter",
  onUnix,
  () =>
    withFolders((outer, inner) => {
      const socket = `${inner}/s.sock`;
      Deno.chmodSync(inner, 0o700);
      assertEquals(closedFolder(socket, GID), inner);
      Deno.chmodSync(inner, 0o710);
      assertEquals([closedFolder(socket, GID), closedFolder(socket, OTHER_GID)], [undefined, inner]);
      Deno.chmodSync(inner, 0o701);
      assertEquals([closedFolder(socket, GID), closedFolder(socket, OTHER_GID)], [undefined, undefined]);
      Deno.chmodSync(outer, 0o700);
      assertEquals(closedFolder(socket, OTHER_GID), outer);
      // The binding will say that it is not there.
      Deno.chmodSync(outer, 0o755);
      assertEquals(closedFolder(`${inner}/none/s.sock`, GID), undefined);
    }),
);

Deno.test(
  "socketsBehindClosedFolders tells the sockets by the folder, and nothing where no group is given any",
  onUnix,
  () =>
    withFolders((outer, inner) => {
      Deno.chmodSync(inner, 0o700);
      const listen = [`${inner}/a.sock`, `${outer}/b.sock`, `${inner}/c.sock`].map((socket) => ({ socket }));
      const found = socketsBehindClosedFolders(String(OTHER_GID), listen);
      assertEquals([...found], [[inner, [`${inner}/a.sock`, `${inner}/c.sock`]]]);
      assertEquals(socketsBehindClosedFolders(undefined, listen).size, 0);
      assertEquals(socketsBehindClosedFolders("no-such-group", listen).size, 0);
    }),
);

Deno.test("groupId knows groups by number and by name, and says when there is none", onUnix, () => {
  assertEquals([groupId("42"), groupId("root")], [42, 0]);
  assertThrows(() => groupId("no-such-group"), GroupError, 'there is no group "no-such-group"');
});
