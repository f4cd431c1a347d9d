/** Extracts fields from a text, held to a schema. usage: extraction.ts "Ada Lovelace was born in 1815." */
import process from "node:process";
import { connect } from "@inferd/client";

const text = process.argv[2] ?? "Ada Lovelace, born in London in 1815, wrote the first program.";
const client = await connect();
const person = await client.generateObject(`Extract the person from this text: ${text}`, {
  schema: {
    type: "object",
    properties: {
      name: { type: "string", maxLength: 60 },
      born: { type: "integer", minimum: 0, maximum: 2100 },
    },
    required: ["name", "born"],
    additionalProperties: false,
  },
});
console.log(JSON.stringify({ name: person.name, born: person.born }));
await client.close();
