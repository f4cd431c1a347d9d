import { assertEquals } from "@std/assert";
import { setColorEnabled } from "@std/fmt/colors";
import { listOf } from "../../../src/cli/ps.ts";

Deno.test("ps lists models as a table, and line by line where that is wider than the terminal", () => {
  setColorEnabled(false);
  const row = ["some-model", "llamacpp", "ready", "cpu", "94 MiB", "1024", "0 of 4", "441.8", "2.3 s"];
  const table = [
    "MODEL       BACKEND   STATE  ON   MEMORY  CONTEXT  RUNNING  TOKENS/S  UPTIME",
    "some-model  llamacpp  ready  cpu  94 MiB  1024     0 of 4   441.8     2.3 s",
  ];
  assertEquals(listOf([row], Infinity), table);
  assertEquals(listOf([row], 76), table);
  const lines = listOf([row, row], 75);
  assertEquals(lines.slice(0, 2), ["MODEL     some-model", "BACKEND   llamacpp"]);
  assertEquals([lines.length, lines.at(-1)], [18, "UPTIME    2.3 s"]);
});
