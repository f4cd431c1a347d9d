/** Copies or renames a model in the store. Blobs stay where they are. */
import { modelHash } from "../file/shards.ts";
import { blobPath, checkModelName, manifestPath } from "./layout.ts";
import { readManifest, spelledName } from "./manifest.ts";
import { type ClaimOptions, NameClaim } from "./name_claim.ts";
import { ModelStoreError, storeError } from "./store_error.ts";
import { lockNameNow, openShared, removeFile } from "./store_files.ts";

export interface NamePair {
  readonly from: string;
  readonly to: string;
}

/**
 * Make a name refer to the model of another.
 *
 * @param store Root of the store, and `produced_by` of new manifests.
 * @param names Old and new name; `move`: remove the old one.
 * @param options Whether the new name may be reassigned.
 * @returns The new name, as the store spells it.
 * @throws {ModelStoreError} `not_found`, `taken`, `busy`.
 */
export async function copyName(
  { root, producedBy }: { readonly root: string; readonly producedBy: string },
  { from, to, move = false }: NamePair & { readonly move?: boolean },
  options: ClaimOptions = {},
): Promise<string> {
  checkModelName(from);
  checkModelName(to);
  const what = `Cannot ${move ? "rename" : "copy"} "${from}" to "${to}"`;
  if (from.toLowerCase() === to.toLowerCase()) throw new ModelStoreError("taken", `${what}: it is the same name`);
  try {
    const { lock, spelled } = await lockNameNow(root, from, () => spelledName(root, from));
    using _lock = lock;
    const manifest = readManifest(root, spelled);
    if (manifest === undefined || "reason" in manifest) {
      const reason = manifest === undefined ? `there is no model "${from}" in the store` : manifest.reason;
      throw new ModelStoreError("not_found", `${what}: ${reason}`);
    }
    // Locked against removal in between.
    using held = new DisposableStack();
    for (const { sha256 } of manifest.parts) {
      const path = blobPath(root, sha256);
      const file = await openShared(path);
      if (file === undefined) throw new ModelStoreError("not_found", `${what}: "${path}" is missing`);
      held.use(file);
    }
    const shards = await Promise.all(manifest.parts.map(async ({ sha256, sizeBytes }) => ({
      blob: `sha256:${sha256}`,
      size_bytes: sizeBytes ?? (await Deno.stat(blobPath(root, sha256))).size,
    })));
    const [first = { blob: "", size_bytes: 0 }] = shards;
    using claim = await NameClaim.take({ root, name: to, what }, options);
    await claim.allow({ sha256: await modelHash(manifest.parts.map(({ sha256 }) => sha256)) });
    await claim.keep({
      ...first,
      ...shards.length > 1 ? { shards } : {},
      license: manifest.license,
      source: manifest.source ?? { registry: null, repo: null, revision: null, filename: null },
      produced_by: manifest.producedBy ?? producedBy,
      produced_at: manifest.producedAt ?? new Date().toISOString(),
    });
    if (move) await removeFile(manifestPath(root, spelled));
    return claim.name;
  } catch (error) {
    throw storeError(what, error);
  }
}
