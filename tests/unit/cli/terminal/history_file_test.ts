import { assertEquals } from "@std/assert";
import { HistoryFile } from "../../../../src/cli/terminal/history_file.ts";

Deno.test("the history of chats is private, bounded, and the newest first", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-" });
  try {
    const path = `${dir}/new/chat_history`;
    const history = new HistoryFile(path);
    assertEquals(history.read(), []);
    for (const line of ["one", " ", "x".repeat(5000), "two\nlines", "two"]) history.add(line);
    assertEquals(history.read(), ["two", "one"]);
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    for (let line = 0; line < 1100; line++) history.add(`line ${line}`);
    assertEquals([history.read().length, history.read()[0]], [500, "line 1099"]);
    // What is never read again is gone from the file.
    assertEquals(Deno.readTextFileSync(path).split("\n").length, 501);
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a history that cannot be kept disturbs nobody", () => {
  const history = new HistoryFile("/dev/null/chat_history");
  history.add("one");
  assertEquals(history.read(), []);
});
