/**
 * Suggestions while one types: every new line on stdin cancels the suggestion for the one before it.
 * Only the suggestion for the last line is certain to be complete.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { connect } from "@inferd/client";

const client = await connect();
let cancel = new AbortController();
let last: Promise<void> = Promise.resolve();
for await (const line of createInterface({ input: process.stdin })) {
  cancel.abort();
  cancel = new AbortController();
  last = suggest(line, cancel.signal);
}
await last;
await client.close();

async function suggest(typed: string, signal: AbortSignal): Promise<void> {
  try {
    const messages = [{ role: "user", content: `Continue this text with a few words: ${typed}` }] as const;
    const text = await client.generate({ messages, maxTokens: 20 }, { signal }).text();
    console.log(`${typed} | ${text}`);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
