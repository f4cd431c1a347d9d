import { assertEquals } from "@std/assert";
import type { EmbedTask } from "../../../../src/inference/request.ts";
import { taskPrefix } from "../../../../src/engine/encode/embedding_tasks.ts";

const QUERY = "Given a web search query, retrieve relevant passages that answer the query";
const SEARCHING = "Represent this sentence for searching relevant passages: ";

/** Name, then the words before a query, a document, and a text that is compared with others. */
const FAMILIES: readonly (readonly [string, string, string, string])[] = [
  ["nomic-embed-text-v1.5", "search_query: ", "search_document: ", "classification: "],
  ["nomic-embed-code", "Represent this query for searching relevant code: ", "", ""],
  ["E5 Base v2", "query: ", "passage: ", "query: "],
  ["multilingual-e5-small", "query: ", "passage: ", "query: "],
  [
    "Multilingual E5 Large Instruct",
    `Instruct: ${QUERY}\nQuery: `,
    "",
    "Instruct: Retrieve semantically similar text\nQuery: ",
  ],
  ["bge-small-en-v1.5", SEARCHING, "", ""],
  ["Bge Large Zh v1.5", "为这个句子生成表示以用于检索相关文章：", "", ""],
  ["bge-m3", "", "", ""],
  [
    "embeddinggemma-300M",
    "task: search result | query: ",
    "title: none | text: ",
    "task: sentence similarity | query: ",
  ],
  [
    "Qwen3 Embedding 0.6b",
    `Instruct: ${QUERY}\nQuery:`,
    "",
    "Instruct: Retrieve semantically similar text\nQuery:",
  ],
  ["jina-embeddings-v2-base-en", "", "", ""],
  [
    "jina-embeddings-v3",
    "Represent the query for retrieving evidence documents: ",
    "Represent the document for retrieval: ",
    "",
  ],
  ["Mxbai Embed Large v1", SEARCHING, "", ""],
  ["snowflake-arctic-embed-m-v1.5", SEARCHING, "", ""],
  ["Snowflake Arctic Embed l v2.0", "query: ", "", ""],
  ["all-MiniLM-L6-v2", "", "", ""],
  ["inferd-tiny-embed", "", "", ""],
];

for (const [name, query, document, similarity] of FAMILIES) {
  Deno.test(`task puts the family's words before a text when the model is ${name}`, () => {
    assertEquals(
      (["retrieval_query", "retrieval_document", "similarity"] as EmbedTask[]).map((task) => taskPrefix([name], task)),
      [query, document, similarity],
    );
  });
}

Deno.test("task puts words of its own before a text when the family has them for each", () => {
  const tasks: EmbedTask[] = [
    "classification",
    "clustering",
    "question_answering",
    "fact_verification",
    "code_retrieval_query",
  ];
  assertEquals(tasks.map((task) => taskPrefix(["embeddinggemma"], task)), [
    "task: classification | query: ",
    "task: clustering | query: ",
    "task: question answering | query: ",
    "task: fact checking | query: ",
    "task: code retrieval | query: ",
  ]);
});

Deno.test("task puts nothing before a text when there is none", () => {
  assertEquals(taskPrefix(["nomic-embed-text-v1.5"], undefined), "");
});

Deno.test("task asks the next name when one tells no family", () => {
  assertEquals(taskPrefix(["model", "", "nomic-bert", "nomic-embed-text.Q8_0.gguf"], "clustering"), "clustering: ");
});

Deno.test("task believes the first name when several tell a family", () => {
  assertEquals(taskPrefix(["bge-base-en", "nomic-embed-text.gguf"], "retrieval_document"), "");
});
