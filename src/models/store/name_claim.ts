/**
 * Locks a name while it is assigned. A name of another model is reassigned only on request, and its former meaning is
 * recorded. Names that differ only in case are the same.
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

/** A name that refers to another model. */
export interface TakenName {
  readonly name: string;
  /** Hash of the other model. */
  readonly sha256: string;
  /** Origin for display: `owner/repo`, a host, a file. */
  readonly from: string | undefined;
}

export interface ClaimOptions extends WaitOptions {
  /** Reassign the name without asking. */
  readonly replace?: boolean | undefined;
  /** Called if the name refers to another model; return `true` to reassign it. Default: refuse. */
  readonly onTaken?: ((taken: TakenName) => Promise<boolean> | boolean) | undefined;
}

/** The model that a name will refer to, as far as known. */
export interface Wanted {
  /** Hash of the whole model. */
  readonly sha256?: string | undefined;
  /** Of the only file, or the first of several. */
  readonly first?: { readonly sha256?: string | undefined; readonly sizeBytes?: number | undefined } | undefined;
}

/** A name in the store at `root`; `what` begins error messages. */
interface Given {
  readonly root: string;
  readonly name: string;
  readonly what: string;
}

/** A name, locked until disposal. */
export class NameClaim implements Disposable {
  /** As the store spells it. */
  readonly name: string;
  /** Its manifest, if there is a valid one. */
  readonly manifest: Manifest | undefined;
  readonly #given: Given;
  readonly #options: ClaimOptions;
  readonly #lock: Disposable;
  #mayTake: boolean;

  private constructor(given: Given, options: ClaimOptions, lock: Disposable) {
    const manifest = readManifest(given.root, given.name);
    this.name = given.name;
    this.manifest = manifest === undefined || "reason" in manifest ? undefined : manifest;
    this.#given = given;
    this.#options = options;
    this.#lock = lock;
    this.#mayTake = options.replace ?? false;
  }

  /**
   * Lock a name.
   *
   * @param options How to wait for the lock, and whether the name may be reassigned.
   */
  static async take(given: Given, options: ClaimOptions): Promise<NameClaim> {
    const { root, name } = given;
    const { lock, spelled } = await lockName(root, name, () => spelledName(root, name), options);
    using locked = new DisposableStack();
    locked.use(lock);
    const claim = new NameClaim({ ...given, name: spelled }, options, lock);
    locked.move();
    return claim;
  }

  /**
   * Check that the name may refer to this model.
   *
   * @param wanted The model, as far as known.
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
      `${this.#given.what}: ${describeTaken(taken)}; choose another name (--name NAME), or ` +
        "reassign this one (--replace)",
    );
  }

  /**
   * Assign the name. An equivalent manifest is left unchanged, because other tools may have added fields.
   *
   * @param manifest The manifest without the name.
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
    const { root, name } = this.#given;
    const blobs = parts.map(({ blob }) => blob.replace(/^sha256:/, ""));
    const former = referencedBlobs(root, name).filter((blob) => !blobs.includes(blob));
    await rememberFormerName(root, { name, blobs: former });
    await writeManifest(root, { schema_version: 1, name, format: "gguf", ...manifest }, beforeRename);
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

/** Describes the conflict in one clause. */
export function describeTaken({ name, sha256, from }: TakenName): string {
  return `"${name}" refers to another model (sha256:${sha256.slice(0, 12)}…${
    from === undefined ? "" : `, from ${from}`
  })`;
}

function describeSource(source: ModelSource | null): string | undefined {
  if (source === null) return undefined;
  const { registry, repo, filename } = source;
  const parts = [registry === "huggingface" ? null : registry, repo, filename].filter((part) => part !== null);
  return parts.length === 0 ? undefined : parts.join("/");
}
