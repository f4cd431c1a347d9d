/**
 * The serving rooms in a process of their own, so that its memory can be looked at; every token is 64 KiB long, so that
 * what piles up piles up fast. Prints its socket's path.
 */
import { readyMock, Serving } from "./serving.ts";

const tokens = Array<string>(1_000_000).fill("x".repeat(64 * 1024));
await using serving = await Serving.start({ backends: [await readyMock({ tokens })] });
console.log(serving.socketPath);
// Until the test closes stdin.
for await (const _ of Deno.stdin.readable);
