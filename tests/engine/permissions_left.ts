// Run with the engine's flags: tells on stdout which permissions are granted, before and after they are given back.
import { confine } from "../../src/engine/permissions.ts";

const NAMES = ["read", "write", "net", "run", "ffi", "env", "sys", "import"] as const;

async function granted(): Promise<string[]> {
  const states = await Promise.all(NAMES.map((name) => Deno.permissions.query({ name })));
  return NAMES.filter((_, i) => states[i]?.state === "granted" || states[i]?.partial);
}

const before = await granted();
confine("cpu");
console.log(JSON.stringify([before, await granted()]));
