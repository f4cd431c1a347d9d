/** A chat in the terminal that remembers the conversation. Ends with an empty line or the end of stdin. */
import process from "node:process";
import { createInterface } from "node:readline";
import { connect, type Message } from "@inferd/client";

const client = await connect();
const messages: Message[] = [];
process.stdout.write("> ");
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") break;
  messages.push({ role: "user", content: line });
  const answer = client.generate({ messages, maxTokens: 300 });
  for await (const text of answer.text) process.stdout.write(text);
  const { text } = await answer.result();
  messages.push({ role: "assistant", content: text });
  process.stdout.write("\n> ");
}
process.stdout.write("\n");
await client.close();
