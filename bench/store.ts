/**
 * The model store: hashing against `sha256sum`, and a pull over loopback with all its steps: download, hash, write,
 * verify, sync. Cleans up after itself.
 */
import { join } from "@std/path";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { Process, spawn } from "./processes.ts";
import { median, type Row } from "./report.ts";
import { makePiece, repeated } from "./store_bytes.ts";
import type { StoreJobResult } from "./store_job.ts";

const SECTION = "Model store";
const MIB = 1024 * 1024;
const JOB = join(import.meta.dirname ?? ".", "store_job.ts");

/** Options of a section. */
export interface StoreBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  /** Folder for the files, on a disk. */
  readonly cache: string;
  readonly progress: Progress;
}

/**
 * Measure the store.
 *
 * @param options Rounds and folder.
 * @returns The lines of the table.
 */
export async function benchStore({ rounds, quick, cache, progress }: StoreBenchOptions): Promise<Row[]> {
  const bytes = (quick ? 256 : 1024) * MIB;
  const dir = await Deno.makeTempDir({ dir: cache, prefix: "store-" });
  try {
    const file = join(dir, "model.gguf");
    const piece = join(dir, "piece");
    await writeModel({ file, piece, bytes });
    await using server = new Process("file server", Deno.execPath(), {
      args: ["run", "-A", JOB, "serve", piece, `${bytes}`],
    });
    const port = await firstLine(server);
    const [theirs, ours, pulls, grown]: number[][] = [[], [], [], []];
    for (let round = 0; round < rounds; round++) {
      progress.at(round / rounds, `Model store: round ${round + 1} of ${rounds}`);
      const start = performance.now();
      const sha256 = (await output("sha256sum", [file])).slice(0, 64);
      theirs?.push(performance.now() - start);
      const hashed = await job(["hash", file]);
      if (hashed.sha256 !== sha256) throw new Error(`The hash is ${hashed.sha256}, not ${sha256}`);
      ours?.push(hashed.ms);
      const root = join(dir, "store");
      const pulled = await job(["pull", root, `http://127.0.0.1:${port}/model.gguf`, sha256]);
      await Deno.remove(root, { recursive: true });
      pulls?.push(pulled.ms);
      grown?.push(pulled.grownBytes);
    }
    const speed = (ms: readonly number[] | undefined): number => bytes / 1e6 / (median(ms ?? []) / 1000);
    const row = (figure: string, rest: Omit<Row, "section" | "figure">): Row => ({ section: SECTION, figure, ...rest });
    return [
      row(`Hashing ${bytes / MIB} MiB (beside it sha256sum)`, {
        unit: "MB/s",
        peer: speed(theirs),
        ours: speed(ours),
        goal: { kind: "ratio-at-least", value: 0.8 },
      }),
      row(`Pull of ${bytes / MIB} MiB over loopback, verified and on the disk`, {
        unit: "MB/s",
        ours: speed(pulls),
        goal: { kind: "at-least", value: 300 },
      }),
      row("Growth of memory while pulling", {
        unit: "MiB",
        ours: Math.max(...grown ?? []) / MIB,
        goal: { kind: "at-most", value: 32 },
      }),
    ];
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function writeModel(
  model: { readonly file: string; readonly piece: string; readonly bytes: number },
): Promise<void> {
  const piece = makePiece(model.bytes);
  await Deno.writeFile(model.piece, piece);
  await Deno.writeFile(model.file, ReadableStream.from(repeated(piece, model.bytes)));
}

async function firstLine(server: Process): Promise<number> {
  const reader = server.lines.getReader();
  const { value } = await Promise.race([reader.read(), server.died]);
  reader.releaseLock();
  return JSON.parse(value ?? "{}").port;
}

async function job(args: readonly string[]): Promise<StoreJobResult> {
  return JSON.parse(await output(Deno.execPath(), ["run", "-A", JOB, ...args]));
}

async function output(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, { args: [...args], stdin: "null", stdout: "piped", stderr: "inherit" });
  const { success, code, stdout } = await child.output();
  if (!success) throw new Error(`${program} ended with ${code}`);
  return new TextDecoder().decode(stdout);
}
