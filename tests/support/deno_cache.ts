/** Deno's cache again, without some of its files: what a machine has that never fetched them. */
import { denoDir } from "./program.ts";

/** The folder; for `DENO_DIR`. Disposal removes it. */
export class DenoCacheWithout implements Disposable {
  readonly dir: string;

  /**
   * Make one.
   *
   * @param except Paths of files that are left out.
   */
  constructor(except: RegExp) {
    const cache = denoDir();
    // On the same disk, so that nothing has to be copied.
    this.dir = Deno.makeTempDirSync({ dir: cache, prefix: "without-" });
    for (const { name, isDirectory } of Deno.readDirSync(cache)) {
      // What was fetched; not what was made of it, and not what tests make.
      if (!isDirectory || name === "gen" || name.startsWith("without-")) continue;
      linkAll(`${cache}/${name}`, { to: `${this.dir}/${name}`, except });
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

/** A folder again, each file a hard link. Folders without files are not made. */
function linkAll(from: string, { to, except }: { readonly to: string; readonly except: RegExp }): void {
  let made = false;
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) linkAll(`${from}/${name}`, { to: `${to}/${name}`, except });
    else if (!except.test(`${from}/${name}`)) {
      if (!made) Deno.mkdirSync(to, { recursive: true });
      made = true;
      Deno.linkSync(`${from}/${name}`, `${to}/${name}`);
    }
  }
}
