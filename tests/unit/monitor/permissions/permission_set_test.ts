import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../../src/config/setting/usage_error.ts";
import { passPermissionSet, refusePermissionSet } from "../../../../src/monitor/permissions/permission_set.ts";

Deno.test({
  name: "a permission set is a file in memory that has what the program imports, too",
  ignore: Deno.build.os !== "linux",
  fn(): void {
    const set = { read: ['/a, "b"'], net: ["unix:/a,b.sock"] };
    const [flag, option, path = ""] = passPermissionSet(set);
    assertEquals([flag, option], ["-P", "--config"]);
    const { permissions, links, imports } = JSON.parse(Deno.readTextFileSync(path));
    assertEquals(permissions, { default: set });
    assertEquals(links.every((link: string) => Deno.statSync(new URL(link)).isDirectory), true);
    assertEquals(imports["@inferd/client/paths"], new URL("../../../../client/paths.ts", import.meta.url).href);
    // Whose name is gone already.
    assertEquals(Deno.readLinkSync(path), "/memfd:permissions.json (deleted)");
  },
});

Deno.test("a permission set is refused with its path and what to do instead", () => {
  assertThrows(
    () => refusePermissionSet({ sys: ["uid"], write: ["/a", "/b,c"] }, "Use another path"),
    UsageError,
    'Cannot express "/b,c" as a flag of Deno: it has a comma. Use another path',
  );
});
