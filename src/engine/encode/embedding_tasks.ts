/**
 * Task prefixes that embedding models expect before a text, from their model cards. Pure; recognises model families by
 * name only.
 */
import type { EmbedTask } from "../../inference/request.ts";

/** Prefixes by task; tasks without one are left out. */
type Prefixes = Partial<Record<EmbedTask, string>>;

/** Tasks whose texts are search queries. */
const QUERIES = ["retrieval_query", "question_answering", "fact_verification", "code_retrieval_query"] as const;
/** Tasks that compare texts of the same kind. */
const SYMMETRIC = ["similarity", "classification", "clustering"] as const;

/** Task instructions for instruction-tuned models. */
const INSTRUCTIONS: Prefixes = {
  retrieval_query: "Given a web search query, retrieve relevant passages that answer the query",
  question_answering: "Given a question, retrieve passages that answer the question",
  fact_verification: "Given a claim, retrieve documents that support or refute the claim",
  code_retrieval_query: "Given a question about code, retrieve code that answers the question",
  similarity: "Retrieve semantically similar text",
  classification: "Classify the given text",
  clustering: "Identify the topic or theme of the given text",
};

const SEARCHING = "Represent this sentence for searching relevant passages: ";

interface Family {
  /** Matches a normalised model name: lower-case letters, digits and hyphens. */
  readonly name: RegExp;
  readonly prefixes: Prefixes;
}

/** The first match wins. */
const FAMILIES: readonly Family[] = [
  {
    name: /nomic-embed-code/,
    prefixes: forEach(QUERIES, "Represent this query for searching relevant code: "),
  },
  {
    name: /nomic-embed/,
    prefixes: {
      ...forEach(QUERIES, "search_query: "),
      retrieval_document: "search_document: ",
      clustering: "clustering: ",
      classification: "classification: ",
      similarity: "classification: ",
    },
  },
  { name: /qwen3-(vl-)?embedding/, prefixes: instructed((task) => `Instruct: ${task}\nQuery:`) },
  {
    name: /\be5-(mistral|.*instruct)|gte-qwen.*instruct|sfr-embedding|linq-embed/,
    prefixes: instructed((task) => `Instruct: ${task}\nQuery: `),
  },
  {
    name: /(^|-)e5-(small|base|large)/,
    prefixes: {
      ...forEach(QUERIES, "query: "),
      ...forEach(SYMMETRIC, "query: "),
      retrieval_document: "passage: ",
    },
  },
  { name: /bge-(small|base|large)-zh/, prefixes: forEach(QUERIES, "为这个句子生成表示以用于检索相关文章：") },
  { name: /bge-(small|base|large)(-en|$)/, prefixes: forEach(QUERIES, SEARCHING) },
  {
    name: /embedding-?gemma|gemma-embedding/,
    prefixes: {
      retrieval_query: "task: search result | query: ",
      retrieval_document: "title: none | text: ",
      similarity: "task: sentence similarity | query: ",
      classification: "task: classification | query: ",
      clustering: "task: clustering | query: ",
      question_answering: "task: question answering | query: ",
      fact_verification: "task: fact checking | query: ",
      code_retrieval_query: "task: code retrieval | query: ",
    },
  },
  {
    name: /jina-embeddings-v3/,
    prefixes: {
      ...forEach(QUERIES, "Represent the query for retrieving evidence documents: "),
      retrieval_document: "Represent the document for retrieval: ",
    },
  },
  {
    name: /jina-embeddings-v4/,
    prefixes: {
      ...forEach(QUERIES, "Query: "),
      ...forEach(SYMMETRIC, "Query: "),
      retrieval_document: "Passage: ",
    },
  },
  {
    name: /jina-embeddings-v5/,
    prefixes: { ...forEach(QUERIES, "Query: "), ...forEach(SYMMETRIC, "Document: "), retrieval_document: "Document: " },
  },
  { name: /mxbai-embed/, prefixes: forEach(QUERIES, SEARCHING) },
  { name: /arctic-embed-.*v2/, prefixes: forEach(QUERIES, "query: ") },
  { name: /arctic-embed/, prefixes: forEach(QUERIES, SEARCHING) },
];

/**
 * Prefix for a text.
 *
 * @param names Names of the model, most reliable first; a file name may be one of them.
 * @param task What the embedding is for; absent: unspecified.
 * @returns The prefix; empty if the family has none or is unknown.
 */
export function taskPrefix(names: readonly string[], task: EmbedTask | undefined): string {
  if (task === undefined) return "";
  for (const name of names) {
    const plain = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
    const family = FAMILIES.find((known) => known.name.test(plain));
    if (family !== undefined) return family.prefixes[task] ?? "";
  }
  return "";
}

function forEach(tasks: readonly EmbedTask[], prefix: string): Prefixes {
  return Object.fromEntries(tasks.map((task) => [task, prefix]));
}

function instructed(prompt: (instruction: string) => string): Prefixes {
  return Object.fromEntries(Object.entries(INSTRUCTIONS).map(([task, instruction]) => [task, prompt(instruction)]));
}
