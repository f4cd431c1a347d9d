/**
 * Claims a name of the store while it is assigned. A name of another model is not reassigned unless that was asked
 * for, and what it referred to is recorded. Names that differ in case alone are one name.
 */
import { rememberFormerName } from "./former_names.ts";
import {
  type Manifest,
  type ManifestV1,
  type ModelSource,
  readManifest,
  referencedBlobs,
  spelledName,
  writeManifest,
} from "./manifest.ts";
import { modelHash } from "../file/shards.ts";
import { lockName, type WaitOptions } from "./store_files.ts";
import { ModelStoreError } from "./store_error.ts";

/** What a name stands for, and who wants it. */
export interface TakenName {
  readonly name: string;
  /** What it stands for. */
  readonly sha256: string;
  /** Where that is from, for people: `owner/repo`, a host, a file. */
  readonly from: string | undefined;
}

/** Who may reassign a name. */
export interface ClaimOptions extends WaitOptions {
  /** The caller allows the name to be reassigned. */
  readonly replace?: boolean | undefined;
  /** Asked if it names another model; `true`: it may be reassigned. Absent: it may not. */
  readonly onTaken?: ((taken: TakenName) => Promise<boolean> | boolean) | undefined;
}

/** What a name will refer to, as far as that is known. */
export interface Wanted {
  /** The hash of the whole model. */
  readonly sha256?: string | undefined;
  /** Of the only file, or of the first of several. */
  readonly first?: { readonly sha256?: string | undefined; readonly sizeBytes?: number | undefined } | undefined;
}

/** A name, locked until it is disposed. */
export class NameClaim implements Disposable {
  /** As the store spells it. */
  readonly name: string;
  /** What it refers to; nothing if that cannot be read, or there is no such name. */
  readonly manifest: Manifest | undefined;
  readonly #root: string;
  readonly #what: string;
  readonly #options: ClaimOptions;
  readonly #lock: Disposable;
  #mayTake: boolean;

  private constructor(
    given: { readonly root: string; readonly name: string; readonly what: string },
    options: ClaimOptions,
    lock: Disposable,
  ) {
    const { root, name, what } = given;
    const manifest = readManifest(root, name);
    this.name = name;
    this.manifest = manifest === undefined || "reason" in manifest ? undefined : manifest;
    this.#root = root;
    this.#what = what;
    this.#options = options;
    this.#lock = lock;
    this.#mayTake = options.replace ?? false;
  }

  /**
   * Lock a name.
   *
   * @param given The store, the name as it was written, and what messages begin with.
   * @param options How to wait while another process holds it, and who may reassign it.
   */
  static async take(
    given: { readonly root: string; readonly name: string; readonly what: string },
    options: ClaimOptions,
  ): Promise<NameClaim> {
    const { root, name } = given;
    const { lock, spelled } = await lockName(root, name, () => spelledName(root, name), options);
    try {
      return new NameClaim({ ...given, name: spelled }, options, lock);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Check whether the name may refer to this.
   *
   * @param wanted What, as far as it is known.
   * @throws {ModelStoreError} `taken`: it refers to another model.
   */
  async allow(wanted: Wanted): Promise<void> {
    const { manifest } = this;
    if (manifest === undefined || this.#mayTake) return;
    const [first] = manifest.parts;
    const sha256 = await modelHash(manifest.parts.map((part) => part.sha256));
    const differs = wanted.sha256 !== undefined
      ? wanted.sha256 !== sha256
      : wanted.first?.sha256 !== undefined
      ? wanted.first.sha256 !== first.sha256
      : wanted.first?.sizeBytes !== undefined && first.sizeBytes !== null && wanted.first.sizeBytes !== first.sizeBytes;
    if (!differs) return;
    const taken: TakenName = { name: this.name, sha256, from: describeSource(manifest.source) };
    this.#mayTake = await this.#options.onTaken?.(taken) ?? false;
    this.#options.signal?.throwIfAborted();
    if (this.#mayTake) return;
    throw new ModelStoreError(
      "taken",
      `${this.#what}: ${describeTaken(taken)}; choose another name (--name NAME), or ` +
        "let it take this one (--replace)",
    );
  }

  /**
   * Make the name refer to something. A manifest that says the same already is left as it is: others may have put more
   * into it.
   *
   * @param manifest What; its name is this one's.
   * @param beforeRename For tests.
   */
  async keep(
    manifest: Omit<ManifestV1, "name" | "schema_version" | "format">,
    beforeRename?: () => unknown,
  ): Promise<void> {
    const parts = manifest.shards ?? [manifest];
    const known = this.manifest?.parts ?? [];
    const same = known.length === parts.length && known.every(({ sha256, sizeBytes }, index) => {
      const part = parts[index];
      return part?.blob === `sha256:${sha256}` && (sizeBytes ?? part.size_bytes) === part.size_bytes;
    });
    if (same) return;
    const blobs = parts.map(({ blob }) => blob.replace(/^sha256:/, ""));
    const former = referencedBlobs(this.#root, this.name).filter((blob) => !blobs.includes(blob));
    await rememberFormerName(this.#root, { name: this.name, blobs: former });
    await writeManifest(this.#root, { schema_version: 1, name: this.name, format: "gguf", ...manifest }, beforeRename);
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

/** Why a name may not be taken, in one clause. */
export function describeTaken({ name, sha256, from }: TakenName): string {
  return `"${name}" stands for another model (sha256:${sha256.slice(0, 12)}…${
    from === undefined ? "" : `, from ${from}`
  })`;
}

function describeSource(source: ModelSource | null): string | undefined {
  if (source === null) return undefined;
  const { registry, repo, filename } = source;
  const parts = [registry === "huggingface" ? null : registry, repo, filename].filter((part) => part !== null);
  return parts.length === 0 ? undefined : parts.join("/");
}
