import { assertEquals } from "@std/assert";
import { partsThatFit } from "../../../../src/cli/terminal/progress.ts";

Deno.test("partsThatFit leaves out notes that do not fit whole, and only the last part may be cut", () => {
  const parts = ["45 %", "1.2 of 2.7 GiB", "0:02 left", "Downloading x"];
  assertEquals(partsThatFit(parts, 80), "45 %  1.2 of 2.7 GiB  0:02 left  Downloading x");
  assertEquals(partsThatFit(parts, 31), "45 %  1.2 of 2.7 GiB  0:02 left  Downloading x");
  assertEquals(partsThatFit(parts, 30), "45 %  1.2 of 2.7 GiB");
  assertEquals(partsThatFit(parts, 10), "45 %");
  assertEquals(partsThatFit(["Loading"], 3), "Loading");
});
