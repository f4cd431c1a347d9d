/** Garbage collection: removes what no name refers to. What lost its name recently is kept for a while. */
import { join } from "@std/path";
import { dropBlob, entries, type Entry, isHeld, look, type LooseBlob, looseBlob, namesIn } from "./store/blobs.ts";
import { forgetFormerNames, type LastName, readFormerNames } from "./store/former_names.ts";
import { manifestsDir, partialDataPath, quarantineDir } from "./store/layout.ts";
import { readManifests } from "./store/manifest.ts";
import { dropPartial } from "./transfer/partial.ts";
import { removeFile } from "./store/store_files.ts";

/** Rubbish younger than this may still be wanted, in milliseconds: a download to resume, what a name stood for. */
const RUBBISH_MS = 7 * 24 * 60 * 60 * 1000;

/** How to clear away. */
export interface GcOptions {
  /** Only say what would go. */
  readonly dryRun?: boolean | undefined;
  /** Partials and quarantined files younger than this stay, in milliseconds. Default: 7 days. */
  readonly keepMs?: number | undefined;
  /** Remove also what lost its name to another model within that time. */
  readonly replaced?: boolean | undefined;
}

/** Something that was, or would be, cleared away. */
export interface GcItem {
  readonly kind: "blob" | "partial" | "quarantine" | "temporary";
  readonly path: string;
  readonly sizeBytes: number;
  /** Of a blob: the name that stood for it before it was given to another model. */
  readonly formerName?: LastName;
}

/** What `gc` did. */
export interface GcResult {
  readonly items: readonly GcItem[];
  /** Blobs that lost their name to another model not long ago, and stay for that. */
  readonly kept: readonly LooseBlob[];
  readonly freedBytes: number;
  /** Unreferenced blobs that are in use. */
  readonly inUse: readonly string[];
}

/**
 * Remove blobs that no manifest refers to, and abandoned partials and quarantined files.
 *
 * @param root The store.
 * @param options Which, and whether really.
 * @returns What went.
 */
export async function clearAway(root: string, options: GcOptions): Promise<GcResult> {
  return await new Clearing(root, options).run();
}

/** One round. */
class Clearing {
  readonly #root: string;
  readonly #dryRun: boolean;
  readonly #keepMs: number;
  readonly #replaced: boolean;
  readonly #items: GcItem[] = [];
  readonly #kept: LooseBlob[] = [];
  readonly #inUse: string[] = [];

  constructor(root: string, { dryRun = false, keepMs = RUBBISH_MS, replaced = false }: GcOptions) {
    this.#root = root;
    this.#dryRun = dryRun;
    this.#keepMs = keepMs;
    this.#replaced = replaced;
  }

  async run(): Promise<GcResult> {
    const { referenced } = await readManifests(this.#root);
    const former = await readFormerNames(this.#root);
    for (const entry of await entries(this.#root)) {
      if (entry.kind === "partial") {
        await this.#partial(entry);
        continue;
      }
      const blob = referenced.has(entry.sha256) ? undefined : await looseBlob(this.#root, entry.sha256, former);
      if (blob !== undefined) await this.#blob(blob);
    }
    await this.#files("quarantine", quarantineDir(this.#root), (file) => file.endsWith(".bin"));
    await this.#files("temporary", manifestsDir(this.#root), (file) => /^\..*\.tmp$/.test(file));
    if (!this.#dryRun) {
      const left = new Set((await entries(this.#root)).map((entry) => entry.kind === "blob" ? entry.sha256 : ""));
      await forgetFormerNames(this.#root, (sha256) => left.has(sha256));
    }
    return {
      items: this.#items,
      kept: this.#kept,
      freedBytes: this.#items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      inUse: this.#inUse,
    };
  }

  async #partial({ dir, key }: Extract<Entry, { kind: "partial" }>): Promise<void> {
    const data = partialDataPath(dir);
    const info = await look(data) ?? await look(dir);
    if (info === undefined || !this.#isOld(info)) return;
    if (this.#dryRun ? await isHeld(data) : !await dropPartial(this.#root, key)) return;
    this.#items.push({ kind: "partial", path: data, sizeBytes: info.isFile ? info.size : 0 });
  }

  async #blob(blob: LooseBlob): Promise<void> {
    const { sha256, path, sizeBytes, formerName } = blob;
    if (!this.#replaced && formerName !== undefined && Date.now() - formerName.endedAt < this.#keepMs) {
      this.#kept.push(blob);
      return;
    }
    const outcome = !this.#dryRun
      ? (await dropBlob(this.#root, sha256)).outcome
      : await isHeld(path)
      ? "in_use"
      : "removed";
    if (outcome === "in_use") this.#inUse.push(sha256);
    if (outcome !== "removed") return;
    this.#items.push({ kind: "blob", path, sizeBytes, ...(formerName === undefined ? {} : { formerName }) });
  }

  async #files(kind: "quarantine" | "temporary", dir: string, isOne: (file: string) => boolean): Promise<void> {
    for (const file of (await namesIn(dir)).filter(isOne)) {
      const path = join(dir, file);
      const info = await look(path);
      if (info === undefined || !info.isFile || !this.#isOld(info)) continue;
      if (!this.#dryRun) await removeFile(path);
      this.#items.push({ kind, path, sizeBytes: info.size });
    }
  }

  #isOld(info: Deno.FileInfo): boolean {
    return Date.now() - (info.mtime?.getTime() ?? 0) >= this.#keepMs;
  }
}
