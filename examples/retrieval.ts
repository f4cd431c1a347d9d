/** Answers a question from the most similar of some notes. usage: retrieval.ts "When is the library open?" */
import process from "node:process";
import { connect } from "@inferd/client";

const NOTES = [
  "The library is open from 9 to 18 on weekdays.",
  "Parking costs two francs an hour.",
  "The lake is warm enough for swimming from June on.",
];
const question = process.argv[2] ?? "When is the library open?";
const client = await connect({ surface: "embed" });
const { embeddings } = await client.embed(NOTES, { task: "retrieval_document" });
const { embeddings: [query = []] } = await client.embed(question, { task: "retrieval_query" });
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
const scores = embeddings.map((vector) => dot(vector, query));
const best = NOTES[scores.indexOf(Math.max(...scores))] ?? "";
console.log(`Source: ${best}`);
console.log(await client.generate(`${best}\n\nAnswer with this note only: ${question}`).text());
await client.close();
