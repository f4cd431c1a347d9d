import { assertEquals } from "@std/assert";
import { Authenticator } from "../../../src/server/auth.ts";

Deno.test("an authenticator accepts the frame with the very key and nothing else", async () => {
  const authenticator = new Authenticator("kéy");
  assertEquals(await authenticator.accepts('{"type":"auth","key":"kéy"}'), true);
  assertEquals(await authenticator.accepts('{ "key": "k\\u00e9y", "type": "auth", "extra": 1 }'), true);
  const wrong = [
    '{"type":"auth","key":"key"}',
    '{"type":"auth","key":"kéyy"}',
    '{"type":"auth","key":""}',
    '{"type":"auth","key":null}',
    '{"type":"auth"}',
    '{"key":"kéy"}',
    '["auth","kéy"]',
    "kéy",
    "",
  ];
  for (const line of wrong) assertEquals(await authenticator.accepts(line), false, line);
});
