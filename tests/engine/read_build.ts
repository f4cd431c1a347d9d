/** Says the SHA-256 of a build of CPU code, wherever it is. usage: read_build.ts URL */
import { readBuild } from "../../src/engine/cpu_code.ts";

const bytes = await new Response(await readBuild(new URL(Deno.args[0] ?? ""))).arrayBuffer();
console.log(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex());
