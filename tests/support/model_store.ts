/** A model store in a folder of its own. */
import { join } from "@std/path";
import { Store } from "../../src/models/store.ts";

export { modelBytes } from "./gguf_files.ts";

/** A store that goes away with everything in it. */
export class TempStore extends Store implements AsyncDisposable {
  readonly dir: string;

  constructor(dir = Deno.makeTempDirSync({ prefix: "inferd-store-" })) {
    super(join(dir, "models"), { producedBy: "inferd/test" });
    this.dir = dir;
  }

  /** Every file, relative to the root, sorted; locks of names are left out, they mean nothing. */
  files(): string[] {
    const found: string[] = [];
    const walk = (dir: string): void => {
      for (const { name, isDirectory } of Deno.readDirSync(join(this.root, dir))) {
        if (isDirectory) walk(join(dir, name));
        else if (!name.endsWith(".lock")) found.push(join(dir, name));
      }
    };
    try {
      walk("");
    } catch (error) {
      // Nothing was put in.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return found.sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** In lower-case hex. */
export async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Where a blob lies, relative to the store's root. */
export function blobFile(sha256: string): string {
  return `blobs/sha256/${sha256.slice(0, 2)}/${sha256}/data`;
}

/** Where its partial lies, relative to the store's root. */
export function partialFile(key: string): string {
  return `blobs/sha256/${key.slice(0, 2)}/.partial-${key}/data.tmp`;
}
