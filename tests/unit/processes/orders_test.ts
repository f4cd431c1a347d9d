import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { parseOrder, privateSocketPath } from "../../../src/processes/orders.ts";

Deno.test("parseOrder reads a word of the set and a number", () => {
  assertEquals(parseOrder("engine 1"), { word: "engine", number: 1 });
  assertEquals(parseOrder("kill 900"), { word: "kill", number: 900 });
});

Deno.test("parseOrder takes nothing else for an order", () => {
  for (
    const line of [
      ...["", "engine", "engine ", "engine 0", "engine 01", "engine -1", "engine 1.5", "engine 1e3", "engine  1"],
      ...["engine 1 ", " engine 1", "engine 1 2", "engine 1\r", "sh 1", "ENGINE 1", "daemon 1", "toString 1"],
      ...["kill 1234567890123456", "engine ١", '{"engine":1}', "engine 1 --allow-all"],
    ]
  ) assertEquals(parseOrder(line), undefined, JSON.stringify(line));
});

Deno.test("privateSocketPath is another one for another daemon of the same folder, and short", () => {
  const of = (lockPath: string): string => privateSocketPath({ runtimeDir: "/run/user/1000/inferd", lockPath });
  assertMatch(of(`/very/long/${"x".repeat(200)}`), /^\/run\/user\/1000\/inferd\/eng-[0-9a-f]{8}\.sock$/);
  assertEquals(of("/a.lock"), of("/a.lock"));
  assertNotEquals(of("/a.lock"), of("/b.lock"));
});
