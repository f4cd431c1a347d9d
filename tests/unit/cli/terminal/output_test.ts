import { assertEquals } from "@std/assert";
import { type Sink, writeText } from "../../../../src/cli/terminal/output.ts";

Deno.test("writeText spells controls for a terminal alone, and not where they are asked for", async () => {
  const written = async (isTerminal: boolean, raw?: boolean): Promise<string> => {
    const bytes: number[] = [];
    const sink: Sink = {
      isTerminal: () => isTerminal,
      // Takes three bytes at a time.
      write: (some) => Promise.resolve(bytes.push(...some.subarray(0, 3)) && Math.min(3, some.length)),
    };
    await writeText(sink, "a\x1b[2Jb", raw);
    return new TextDecoder().decode(new Uint8Array(bytes));
  };
  assertEquals(await written(true), "a\\u001b[2Jb");
  assertEquals(await written(true, true), "a\x1b[2Jb");
  assertEquals(await written(false), "a\x1b[2Jb");
});
