/** `deno task bench`: measures the daemon, against llama-server where it has a counterpart, and prints a table. */
import { parseArgs } from "@std/cli/parse-args";
import { join } from "@std/path";
import { benchBeside } from "./beside.ts";
import { benchBoot } from "./boot.ts";
import { benchChat } from "./chat.ts";
import { benchCopying } from "./copying.ts";
import { benchEncode, type Encode } from "./encode.ts";
import { benchEngine, type Model } from "./engine.ts";
import { benchGrammar } from "./grammar.ts";
import { benchHttp } from "./http.ts";
import { benchLongPrompts } from "./long_prompts.ts";
import { LoadGenerator } from "./load_generator.ts";
import type { PeerEndpoint } from "./load_job.ts";
import { BuildError } from "./llama_cpp.ts";
import { peerFolder } from "./peer.ts";
import { benchPipeline } from "./pipeline.ts";
import { type Progress, stderrProgress } from "../src/cli/terminal/progress.ts";
import { isStopping, stopAll } from "./processes.ts";
import { benchSampling } from "./sampling.ts";
import { benchSchema } from "./schema.ts";
import { benchStore } from "./store.ts";
import { benchSurfaces } from "./surfaces.ts";
import { benchTransport } from "./transport.ts";
import { missedBy, ratio, type Row, table } from "./report.ts";

const SECTIONS = [
  "random",
  "built-in",
  "prompts",
  "embed",
  "rerank",
  "surfaces",
  "http",
  "grammar",
  "schema",
  "copying",
  "chat",
  "beside",
  "sampling",
  "pipeline",
  "transport",
  "boot",
  "store",
] as const;
const ENDPOINTS = ["chat", "completion"] as const satisfies readonly PeerEndpoint[];
/** Above this load average something else is running on the machine. */
const IDLE_LOAD = 0.5;
type Section = typeof SECTIONS[number];

const HELP = `Usage: deno task bench [FLAGS]

Measures inferd, against llama-server where it has a counterpart, and prints a table of medians.
The first run builds llama-server (requires git, cmake and a C++ compiler, takes a few minutes) and
writes a model of 218 MB, both into bench/.cache.

  --only SECTION    random or built-in (that model's engine; engine means both), prompts (long ones),
                    embed, rerank, surfaces (v2 against v1), http, grammar, schema, copying
                    (speculative decoding), chat (first tokens of later turns), beside (a stream next to
                    costly requests), sampling, pipeline, transport (the engine behind a socket against
                    pipes), boot or store (the model store); may be repeated (default: all)
  --rounds N        number of rounds (default: 5)
  --quick           fewer rounds and shorter ones; rough figures
  --no-peer         leave llama-server out
  --peer-only       leave inferd out
  --peer-endpoint E chat (messages, as for inferd) or completion (with the chat template already
                    rendered, which is less work for llama-server; default: chat)
  --json            print JSON instead of the table
  -h, --help        this text

Both servers use the same CPU backend: npm's, or the one built by deno task native in the folder
INFERD_BENCH_LIBRARY_DIR.
INFERD_BENCH_PEER_DIR names a folder with prebuilt llama-server and llama-bench.
`;

interface Flags {
  readonly sections: readonly Section[];
  readonly rounds: number;
  readonly quick: boolean;
  readonly peer: boolean;
  readonly peerOnly: boolean;
  readonly endpoint: PeerEndpoint;
  readonly json: boolean;
  readonly help: boolean;
}

function isEngine(section: Section): section is Section & Model {
  return section === "random" || section === "built-in";
}

function isEncode(section: Section): section is Section & Encode {
  return section === "embed" || section === "rerank";
}

/** Whether llama-server has a counterpart of the section. */
function hasPeer(section: Section): boolean {
  return isEngine(section) || isEncode(section) || section === "prompts" || section === "http" ||
    section === "schema" || section === "chat";
}

/** The command line is invalid. */
class UsageError extends Error {}

function readFlags(args: readonly string[]): Flags {
  const parsed = parseArgs(args, {
    boolean: ["quick", "peer", "peer-only", "json", "help"],
    string: ["only", "rounds", "peer-endpoint"],
    collect: ["only"],
    negatable: ["peer"],
    default: { peer: true, "peer-endpoint": "chat" },
    alias: { help: "h" },
    unknown: (arg) => {
      throw new UsageError(`Unknown argument "${arg}"; "--help" lists what is allowed`);
    },
  });
  const sections = (parsed.only as string[]).flatMap((name): Section[] => {
    if (name === "engine") return ["random", "built-in"];
    const section = SECTIONS.find((known) => known === name);
    if (section !== undefined) return [section];
    throw new UsageError(`--only must be one of engine, ${SECTIONS.join(", ")}, got "${name}"`);
  });
  const rounds = Number(parsed.rounds ?? (parsed.quick ? 3 : 5));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    throw new UsageError(`--rounds must be a whole number from 1 to 1000, got "${parsed.rounds}"`);
  }
  const endpoint = ENDPOINTS.find((known) => known === parsed["peer-endpoint"]);
  if (endpoint === undefined) {
    throw new UsageError(`--peer-endpoint must be one of ${ENDPOINTS.join(", ")}, got "${parsed["peer-endpoint"]}"`);
  }
  if (parsed["peer-only"] && !parsed.peer) throw new UsageError("--peer-only and --no-peer leave nothing to measure");
  return {
    sections: sections.length > 0 ? sections : SECTIONS,
    rounds,
    quick: parsed.quick,
    peer: parsed.peer,
    peerOnly: parsed["peer-only"],
    endpoint,
    json: parsed.json,
    help: parsed.help,
  };
}

/** Context of a section besides the flags. */
interface Bench {
  readonly flags: Flags;
  readonly cache: string;
  readonly progress: Progress;
  readonly peerFolder: string | undefined;
}

/** Folder of the peer; undefined if it is not wanted or cannot be built. */
async function findPeer(flags: Flags, cache: string, progress: Progress): Promise<string | undefined> {
  if (!flags.peer || !flags.sections.some(hasPeer)) return undefined;
  const given = Deno.env.get("INFERD_BENCH_PEER_DIR");
  if (given !== undefined && given !== "") return given;
  try {
    return await peerFolder(cache, progress);
  } catch (error) {
    if (!(error instanceof BuildError) || flags.peerOnly || isStopping()) throw error;
    progress.note(`${error.message}; going on without a peer`);
    return undefined;
  }
}

async function measure(section: Section, { flags, cache, progress, peerFolder }: Bench): Promise<Row[]> {
  const { rounds, quick, peerOnly, endpoint } = flags;
  if (peerOnly && !hasPeer(section)) return [];
  if (section === "transport") return await benchTransport({ rounds, quick, progress });
  await using load = new LoadGenerator();
  const common = { rounds, quick, load, progress };
  if (section === "sampling") return benchSampling(common);
  if (section === "pipeline") return await benchPipeline(common);
  if (section === "boot") return await benchBoot(common);
  if (section === "store") return await benchStore({ ...common, cache });
  if (section === "grammar") return await benchGrammar({ ...common, cache });
  if (section === "copying") return await benchCopying({ ...common, cache });
  if (section === "beside") return await benchBeside({ ...common, cache });
  if (section === "surfaces") return await benchSurfaces(common);
  const peer = peerFolder === undefined ? {} : { peerFolder };
  if (isEncode(section)) return await benchEncode(section, { ...common, ...peer, peerOnly });
  const against = { ...common, ...peer, cache, peerOnly, endpoint };
  if (section === "http") return await benchHttp(against);
  if (section === "schema") return await benchSchema(against);
  if (section === "chat") return await benchChat(against);
  return section === "prompts" ? await benchLongPrompts(against) : await benchEngine(section, against);
}

function print(rows: readonly Row[], { json, rounds }: Flags): void {
  if (json) {
    const lines = rows.map((row) => ({ ...row, ratio: ratio(row), missed_by: missedBy(row) }));
    console.log(JSON.stringify({ deno: Deno.version.deno, cores: navigator.hardwareConcurrency, rounds, rows: lines }));
  } else {
    console.log(table(rows, Deno.stdout.isTerminal() && !Deno.noColor));
  }
}

/**
 * Measure and print. Failures are reported and the rest is still measured; an interruption prints the results so far.
 */
async function main(flags: Flags): Promise<boolean> {
  const cache = join(import.meta.dirname ?? ".", ".cache");
  await Deno.mkdir(cache, { recursive: true });
  const progress = stderrProgress();
  const [load = 0] = Deno.loadavg();
  if (load > IDLE_LOAD) {
    progress.note(`This machine is not idle (load average ${load.toFixed(1)}); the figures will be worth little`);
  }
  const bench: Bench = { flags, cache, progress, peerFolder: await findPeer(flags, cache, progress) };
  const rows: Row[] = [];
  let whole = true;
  for (const section of flags.sections) {
    try {
      rows.push(...await measure(section, bench));
    } catch (error) {
      whole = false;
      if (isStopping()) {
        progress.note("Interrupted");
        break;
      }
      progress.note(`Section ${section} failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  progress.clear();
  if (rows.length > 0) print(rows, flags);
  return whole;
}

if (import.meta.main) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      if (isStopping()) Deno.exit(130);
      stopAll();
    });
  }
  try {
    const flags = readFlags(Deno.args);
    if (flags.help) console.log(HELP.trimEnd());
    else if (!await main(flags)) Deno.exitCode = isStopping() ? 130 : 1;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    Deno.exitCode = isStopping() ? 130 : error instanceof UsageError ? 2 : 1;
  }
  // Signal listeners would keep the process alive.
  Deno.exit();
}
