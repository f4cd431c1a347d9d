/** An agent that calls tools until it can answer. usage: agent.ts "How many days are there from 2026-01-01 to 2026-03-01?" */
import process from "node:process";
import { connect, tool } from "@inferd/client";

const question = process.argv[2] ?? "How many days are there from 2026-01-01 to 2026-03-01?";
const client = await connect({ surface: "v2" });
const run = client.runTools(question, {
  days_between: tool({
    description: "The number of days between two dates",
    inputSchema: {
      type: "object",
      properties: { from: { type: "string", format: "date" }, to: { type: "string", format: "date" } },
      required: ["from", "to"],
    },
    run: ({ from, to }) => (Date.parse(to) - Date.parse(from)) / 86_400_000,
  }),
});
for await (const event of run) {
  if (event.type === "text") process.stdout.write(event.text);
  if (event.type === "tool_use") console.log(`[${event.name} ${JSON.stringify(event.input)}]`);
  if (event.type === "tool_result") console.log(`[= ${event.text}]`);
}
process.stdout.write("\n");
await client.close();
