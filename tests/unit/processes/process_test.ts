import { assertEquals, assertRejects } from "@std/assert";
import { readMessages, readStderr } from "../../../src/processes/process.ts";

const encode = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

Deno.test("readMessages takes a message of the maximum length, and refuses one that never ends without keeping it", async () => {
  const reader = (...parts: string[]) => (): Promise<Uint8Array<ArrayBuffer> | undefined> => {
    const part = parts.shift();
    return Promise.resolve(part === undefined ? undefined : encode(part));
  };
  const messages: unknown[] = [];
  const take = (message: unknown): unknown => messages.push(message);
  await readMessages(reader('"123456', '78"\n"1"\n'), take, 10);
  assertEquals(messages, ["12345678", "1"]);
  let reads = 0;
  const endless = (): Promise<Uint8Array<ArrayBuffer> | undefined> =>
    Promise.resolve(++reads > 100 ? undefined : encode("1".repeat(100)));
  await assertRejects(() => readMessages(endless, take, 250), TypeError, "too_large");
  assertEquals([reads, messages.length], [3, 2]);
});

Deno.test("readStderr truncates long lines with a mark, however they arrive, and hands on the next ones whole", async () => {
  const long = "x".repeat(3000);
  const cut = `${"x".repeat(2047)}…`;
  for (const parts of [[`${long}\nnext\n${long}`], [...`${long}\nnext\n${long}`]]) {
    const lines: string[] = [];
    await readStderr(ReadableStream.from(parts.map(encode)), (line) => void lines.push(line));
    assertEquals(lines, [cut, "next", cut]);
  }
  const fitting: string[] = [];
  await readStderr(ReadableStream.from([encode(`${"y".repeat(2048)}\n`)]), (line) => void fitting.push(line));
  assertEquals(fitting, ["y".repeat(2048)]);
});
