/**
 * The rooms of the source and their allowed imports: one table, checked against Deno's module graph, types included.
 * Also checks that there are no import cycles, and that docs/architecture.md describes every folder.
 *
 * usage: deno task rooms
 */
import { dirname, fromFileUrl, relative } from "@std/path";
import { ROOT } from "./copy.ts";

/** A room: one or several folders, and the rooms it may import. */
export interface Room {
  readonly imports: readonly string[];
  /** Further folders of the room; between them only import cycles are an error. */
  readonly folders?: readonly string[];
  /** Why the folder exceeds {@linkcode MAX_FILES} files. */
  readonly large?: string;
}

/** Maximum number of files in a folder without a reason. */
const MAX_FILES = 13;

/** Entry points of processes; a file that none of them reaches is dead. */
export const ROOTS: readonly string[] = [
  "main.ts",
  "src/cli/daemon_main.ts",
  "src/cli/http_main.ts",
  "client/mod.ts",
  "client/paths.ts",
  "client/protocol/mod.ts",
  "src/engine/main.ts",
  "src/libraries/fetch/fetch_main.ts",
  "src/pulls/worker.ts",
];

const MODELS = ["src/models", "src/models/file", "src/models/store", "src/models/transfer"];
const BACKENDS = ["src/backend", "src/backend/llama", "src/backend/on_demand", "src/backend/openai"];

/** All rooms, those with the fewest imports first. A room may always import itself; `.` is `main.ts`. */
export const ROOMS: Readonly<Record<string, Room>> = {
  "client/protocol": { imports: [] },
  "client": {
    imports: ["client/protocol"],
    folders: ["client/errors", "client/wire"],
    large: "one file for each thing that a caller can do",
  },
  "src/ndjson": { imports: ["client/protocol"] },
  "src/log": { imports: ["client/protocol"] },
  "src/models/file": { imports: ["src/log"] },
  "src/models/store": { imports: ["client/protocol", "src/log", "src/models/file"] },
  "src/models/transfer": { imports: ["client/protocol", "src/models/file", "src/models/store"] },
  "src/models": { imports: ["client/protocol", "src/log", ...MODELS] },
  "src/libraries": { imports: [] },
  "src/confinement": { imports: [] },
  "src/inference": { imports: ["client/protocol", "src/models/file"] },
  "src/config": {
    imports: ["client", "client/protocol", "src/inference", "src/libraries", "src/log", ...MODELS],
    folders: ["src/config/backends", "src/config/setting"],
    large: "one file for each step from flags, variables and the file to the options",
  },
  "src/work": { imports: [] },
  "src/grammar": {
    imports: ["src/inference", "src/work"],
    folders: [
      "src/grammar/automaton",
      "src/grammar/json_schema",
      "src/grammar/keywords",
      "src/grammar/language",
      "src/grammar/masks",
      "src/grammar/vocabulary",
    ],
  },
  "src/engine/ipc": { imports: ["client/protocol", "src/confinement", "src/inference", "src/libraries", "src/ndjson"] },
  "src/engine/native": {
    imports: ["src/confinement", "src/libraries", "src/log", "src/engine/ipc"],
    folders: ["src/engine/native/cpu", "src/engine/native/libc", "src/engine/native/threads"],
  },
  "src/engine/jinja": {
    imports: ["src/work"],
    folders: [
      "src/engine/jinja/evaluate",
      "src/engine/jinja/library",
      "src/engine/jinja/syntax",
      "src/engine/jinja/values",
    ],
  },
  "src/engine/chat/dialect": { imports: ["src/inference", "src/engine/native"] },
  "src/engine/chat/render": {
    imports: [
      "src/inference",
      "src/work",
      "src/libraries",
      "src/engine/native",
      "src/engine/jinja",
      "src/engine/chat/dialect",
    ],
  },
  "src/engine/chat/probe": {
    imports: ["src/inference", "src/work", "src/engine/jinja", "src/engine/chat/dialect", "src/engine/chat/render"],
  },
  "src/engine/chat": {
    imports: [
      "src/inference",
      "src/work",
      "src/engine/native",
      "src/engine/jinja",
      "src/engine/chat/dialect",
      "src/engine/chat/render",
      "src/engine/chat/probe",
    ],
  },
  "src/engine/answer": {
    imports: ["src/inference", "src/work", "src/grammar", "src/engine/ipc", "src/engine/chat/dialect"],
  },
  "src/engine/generate": {
    imports: [
      "client/protocol",
      "src/inference",
      "src/log",
      "src/work",
      "src/grammar",
      "src/engine/ipc",
      "src/engine/native",
      "src/engine/chat/dialect",
      "src/engine/chat",
      "src/engine/answer",
    ],
    folders: ["src/engine/generate/ahead", "src/engine/generate/sampling", "src/engine/generate/work"],
  },
  "src/engine/encode": { imports: ["src/inference", "src/log", "src/engine/ipc", "src/engine/native"] },
  "src/engine": {
    imports: [
      "src/confinement",
      "src/inference",
      "src/work",
      "src/grammar",
      "src/libraries",
      "src/log",
      "src/engine/ipc",
      "src/engine/native",
      "src/engine/chat/render",
      "src/engine/chat",
      "src/engine/generate",
      "src/engine/encode",
    ],
  },
  "src/processes": {
    imports: ["client/protocol", "src/engine/ipc", "src/inference", "src/log", "src/ndjson", "src/server"],
  },
  "src/backend": { imports: ["client/protocol", "src/config", "src/grammar", "src/inference"] },
  "src/backend/llama": {
    folders: ["src/backend/llama/watch"],
    imports: [
      "client/protocol",
      "src/config",
      "src/engine/ipc",
      "src/grammar",
      "src/inference",
      "src/libraries",
      "src/log",
      "src/models/file",
      "src/ndjson",
      "src/processes",
    ],
  },
  "src/backend/on_demand": { imports: ["client/protocol", "src/inference", "src/log", "src/backend/llama"] },
  "src/backend/openai": {
    imports: ["client/protocol", "src/config", "src/inference", "src/ndjson"],
    large: "one file for each part of a request and its answer",
  },
  "src/libraries/fetch": {
    imports: [
      "client/protocol",
      "src/backend/llama",
      "src/confinement",
      "src/engine/ipc",
      "src/libraries",
      "src/log",
      "src/models/store",
      "src/models/transfer",
      "src/processes",
    ],
  },
  "src/pipeline": { imports: ["client/protocol", "src/inference", "src/log"] },
  "src/surfaces": {
    imports: ["client/protocol", "src/inference", "src/ndjson", "src/pipeline"],
    large: "one file for each protocol, and the field readers they share",
  },
  "src/server": {
    imports: [
      "client/protocol",
      "src/config",
      "src/inference",
      "src/log",
      "src/ndjson",
      "src/pipeline",
      "src/surfaces",
    ],
    large: "one connection, from its socket to its frames",
  },
  "src/admin": {
    imports: ["client/protocol", "src/inference", "src/log", "src/ndjson", "src/pipeline", "src/server"],
  },
  "src/service": { imports: [] },
  "src/monitor": {
    folders: ["src/monitor/permissions"],
    imports: [
      ...[
        "src/config",
        "src/confinement",
        "src/engine/ipc",
        "src/backend/openai",
        "src/libraries/fetch",
        "src/log",
        "src/ndjson",
      ],
      ...["src/processes", "src/server", "src/service", ...MODELS],
    ],
  },
  "src/daemon": {
    imports: [
      ...[
        "client/protocol",
        "src/admin",
        "src/config",
        "src/inference",
        "src/libraries",
        "src/libraries/fetch",
        "src/log",
        "src/ndjson",
      ],
      ...[
        "src/monitor",
        "src/pipeline",
        "src/processes",
        "src/server",
        "src/surfaces",
        ...BACKENDS,
        "src/models",
        "src/models/file",
      ],
    ],
  },
  "src/http": {
    imports: ["client", "client/protocol", "src/inference", "src/ndjson"],
    folders: [
      "src/http/anthropic",
      "src/http/llama_server",
      "src/http/ollama",
      "src/http/openai",
      "src/http/openai/responses",
      "src/http/page",
      "src/http/page/browser",
    ],
    large: "one file for each part of the page, and one for each thing that the APIs share",
  },
  "src/pulls": { imports: ["src/http", ...MODELS] },
  "src/cli/terminal": { imports: ["client", "client/protocol", "src/log"] },
  "src/cli": {
    imports: [
      ...[
        "client",
        "client/protocol",
        "src/backend/llama",
        "src/backend/openai",
        "src/confinement",
        "src/config",
        "src/daemon",
        "src/http",
      ],
      ...[
        "src/engine/ipc",
        "src/libraries",
        "src/log",
        "src/monitor",
        "src/processes",
        "src/pulls",
        "src/server",
        "src/service",
        "src/surfaces",
        "src/cli/terminal",
        ...MODELS,
      ],
    ],
    folders: ["src/cli/doctor"],
    large: "one file for each command",
  },
  ".": {
    imports: ["src/cli", "src/cli/terminal", "src/config", "src/confinement"],
  },
};

/** Imports of each file, by path. */
export type Graph = ReadonlyMap<string, readonly string[]>;

/**
 * Find violations.
 *
 * @param graph The files.
 * @param rooms The table.
 * @returns A sentence per violation.
 */
export function findFaults(graph: Graph, rooms: Readonly<Record<string, Room>> = ROOMS): string[] {
  const roomOfFolder = new Map(
    Object.entries(rooms).flatMap(([name, { folders = [] }]) => [name, ...folders].map((folder) => [folder, name])),
  );
  const roomOf = (file: string): string | undefined => roomOfFolder.get(dirname(file));
  const faults: string[] = [];
  for (const [file, imports] of graph) {
    const room = roomOf(file);
    if (room === undefined) {
      faults.push(`${file} is in no room: add "${dirname(file)}" to the table in packaging/rooms.ts`);
      continue;
    }
    for (const imported of imports) {
      const other = roomOf(imported);
      if (other === undefined || other === room || rooms[room]?.imports.includes(other)) continue;
      faults.push(`${file} imports ${imported}: room ${room} may not import room ${other}`);
    }
  }
  for (const circle of findCircles(graph)) faults.push(`Import cycle: ${circle.join(" → ")}`);
  const allowed = new Map(
    Object.entries(rooms).map(([name, { imports }]) => [name, imports.filter((to) => to !== name)]),
  );
  for (const circle of findCircles(allowed)) faults.push(`Cycle of rooms in the table: ${circle.join(" → ")}`);
  const sizes = Map.groupBy(graph.keys(), dirname);
  for (const [folder, files] of sizes) {
    const room = roomOfFolder.get(folder);
    if (files.length <= MAX_FILES || room === undefined || rooms[room]?.large !== undefined) continue;
    faults.push(`${folder} has ${files.length} files, more than ${MAX_FILES}: split it, or give a reason in the table`);
  }
  return faults;
}

/**
 * Find folders that a document does not describe.
 *
 * @param folders The folders.
 * @param document Markdown, with a table whose first cells name folders: `` | `src/cli/` | ... ``.
 * @returns A sentence per missing folder.
 */
export function findUndescribed(folders: Iterable<string>, document: string): string[] {
  const described = new Set([...document.matchAll(/^\| `([^`]+?)\/?` +\|/gm)].map(([, folder]) => folder));
  return [...folders].filter((folder) => !described.has(folder))
    .map((folder) => `docs/architecture.md does not say what ${folder}/ is for: add a line to its table of rooms`);
}

/** Import cycles, one for each strongly connected component. */
function findCircles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (node: string): void => {
    const at = way.indexOf(node);
    if (at >= 0) {
      circles.push([...way.slice(at), node]);
      return;
    }
    if (done.has(node)) return;
    way.push(node);
    for (const next of edges.get(node) ?? []) visit(next);
    way.pop();
    done.add(node);
  };
  for (const node of edges.keys()) visit(node);
  return circles;
}

/** The used part of `deno info --json`. */
interface ModuleInfo {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly Partial<Record<"code" | "type", { readonly specifier?: string }>>[];
  }[];
}

/** The module graph of all entry points, types included. */
async function readGraph(): Promise<Graph> {
  const own = (specifier: string): string | undefined => {
    if (!specifier.startsWith("file:")) return undefined;
    const path = relative(ROOT, fromFileUrl(specifier));
    return /^(main\.ts$|src\/|client\/)/.test(path) ? path : undefined;
  };
  const graph = new Map<string, readonly string[]>();
  for (const root of ROOTS) {
    const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", root], cwd: ROOT, stderr: "inherit" });
    const { success, stdout } = await command.output();
    if (!success) throw new Error(`"deno info --json ${root}" failed`);
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as ModuleInfo;
    for (const { specifier, dependencies = [] } of modules) {
      const file = own(specifier);
      if (file === undefined) continue;
      const imports = dependencies.flatMap(({ code, type }) => [code?.specifier, type?.specifier])
        .map((imported) => imported === undefined ? undefined : own(imported))
        .filter((imported) => imported !== undefined);
      graph.set(file, [...new Set(imports)]);
    }
  }
  return graph;
}

/** All source files, as paths relative to the checkout. */
async function sourceFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await sourceFiles(path));
    else if (name.endsWith(".ts")) files.push(path);
  }
  return files;
}

if (import.meta.main) {
  const graph = await readGraph();
  const files = [...await sourceFiles("src"), ...await sourceFiles("client")];
  const document = await Deno.readTextFile(`${ROOT}docs/architecture.md`);
  const faults = [
    ...findFaults(graph),
    ...files.filter((file) => !graph.has(file)).map((file) => `${file} is imported by nothing that runs: remove it`),
    ...findUndescribed(new Set(files.map((file) => dirname(file))), document),
  ];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) Deno.exit(1);
  console.log(`${graph.size} files in ${Object.keys(ROOMS).length} rooms import as they may`);
}
