/** Garbage collection: removes unreferenced blobs. Those that lost their name recently are kept for a while. */
import { join } from "node:path";
import { dropBlob, entries, type Entry, isHeld, look, type LooseBlob, looseBlob, namesIn } from "./store/blobs.ts";
import { forgetFormerNames, type LastName, readFormerNames } from "./store/former_names.ts";
import { manifestsDir, partialDataPath, quarantineDir } from "./store/layout.ts";
import { readManifests } from "./store/manifest.ts";
import { dropPartial } from "./transfer/partial.ts";
import { removeFile } from "./store/store_files.ts";

/** Default retention in milliseconds: a download may be resumed, a replaced model wanted back. */
const RUBBISH_MS = 7 * 24 * 60 * 60 * 1000;

export interface GcOptions {
  /** Only report what would be removed. */
  readonly dryRun?: boolean | undefined;
  /** Retention of partials and quarantined files in milliseconds. Default: 7 days. */
  readonly keepMs?: number | undefined;
  /** Also remove blobs whose name was reassigned within the retention time. */
  readonly replaced?: boolean | undefined;
}

/** An item that was, or would be, removed. */
export interface GcItem {
  readonly kind: "blob" | "partial" | "quarantine" | "temporary";
  readonly path: string;
  readonly sizeBytes: number;
  /** For blobs: the last name before it was reassigned. */
  readonly formerName?: LastName;
}

export interface GcResult {
  readonly items: readonly GcItem[];
  /** Unreferenced blobs that are kept because their name was reassigned recently. */
  readonly kept: readonly LooseBlob[];
  readonly freedBytes: number;
  /** Unreferenced blobs that are in use. */
  readonly inUse: readonly string[];
}

/** Remove unreferenced blobs, abandoned partials and quarantined files. */
export async function clearAway(root: string, options: GcOptions): Promise<GcResult> {
  return await new Clearing(root, options).run();
}

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
