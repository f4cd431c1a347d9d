import { assertEquals } from "@std/assert";
import { findFaults, findUndescribed, type Graph, type Room } from "../../../packaging/rooms.ts";

const ROOMS: Readonly<Record<string, Room>> = {
  "src/low": { imports: [] },
  "src/high": { imports: ["src/low"], folders: ["src/high/inner"] },
};

const graphOf = (edges: Readonly<Record<string, readonly string[]>>): Graph => new Map(Object.entries(edges));

Deno.test("imports within a room and of the rooms below are no fault", () => {
  const graph = graphOf({
    "src/high/a.ts": ["src/high/b.ts", "src/low/c.ts"],
    "src/high/b.ts": ["src/high/inner/d.ts"],
    "src/high/inner/d.ts": ["src/low/c.ts"],
    "src/low/c.ts": [],
  });
  assertEquals(findFaults(graph, ROOMS), []);
});

Deno.test("an import of a room above is named with both files and both rooms", () => {
  const graph = graphOf({ "src/low/c.ts": ["src/high/a.ts"], "src/high/a.ts": [] });
  assertEquals(findFaults(graph, ROOMS), [
    "src/low/c.ts imports src/high/a.ts: room src/low may not import room src/high",
  ]);
});

Deno.test("an import cycle is a fault even within one room", () => {
  const graph = graphOf({
    "src/low/a.ts": ["src/low/b.ts"],
    "src/low/b.ts": ["src/low/c.ts"],
    "src/low/c.ts": ["src/low/b.ts"],
  });
  assertEquals(findFaults(graph, ROOMS), ["Import cycle: src/low/b.ts → src/low/c.ts → src/low/b.ts"]);
});

Deno.test("a table that lets two rooms import each other is a fault", () => {
  const rooms = { "src/low": { imports: ["src/high"] }, "src/high": { imports: ["src/low"] } };
  assertEquals(findFaults(graphOf({}), rooms), ["Cycle of rooms in the table: src/low → src/high → src/low"]);
});

Deno.test("a file in a folder that the table does not have is a fault", () => {
  assertEquals(findFaults(graphOf({ "src/new/a.ts": [] }), ROOMS), [
    'src/new/a.ts is in no room: add "src/new" to the table in packaging/rooms.ts',
  ]);
});

Deno.test("a folder of many files is a fault unless its room has a reason", () => {
  const graph = graphOf(Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`src/low/${i}.ts`, []])));
  assertEquals(findFaults(graph, ROOMS), [
    "src/low has 14 files, more than 13: split it, or give a reason in the table",
  ]);
  assertEquals(findFaults(graph, { "src/low": { imports: [], large: "one file for each shape" } }), []);
});

Deno.test("a folder without a line in the document's table is a fault", () => {
  const document =
    "| folder | its one job |\n| --- | --- |\n| `src/low/` | sinks |\n\nMore of `src/high/` in the text.\n";
  assertEquals(findUndescribed(["src/low", "src/high"], document), [
    "docs/architecture.md does not say what src/high/ is for: add a line to its table of rooms",
  ]);
});
