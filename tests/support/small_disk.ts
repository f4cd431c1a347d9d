/** Small file systems, for tests of a full disk. */

/** Whether this process may mount one. */
const isPermitted = await canMount();

/** The name of a test that needs one; where none can be mounted the test is ignored, and its name says why. */
export function onSmallDisk(name: string): { readonly name: string; readonly ignore: boolean } {
  return { name: isPermitted ? name : `${name} (skipped: only root may mount a disk here)`, ignore: !isPermitted };
}

/**
 * Mount an empty file system.
 *
 * @param at A folder that is there.
 * @param size As `mount` takes it, e.g. `512k`.
 * @returns Unmounts it when disposed of.
 */
export async function mountSmallDisk(at: string, size: string): Promise<AsyncDisposable> {
  if (!await run("mount", "-t", "tmpfs", "-o", `size=${size}`, "inferd-test", at)) {
    throw new Error(`Cannot mount ${at}`);
  }
  return { [Symbol.asyncDispose]: async () => void await run("umount", "-l", at) };
}

async function canMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  const folder = await Deno.makeTempDir({ prefix: "inferd-mount-" });
  try {
    const mounted = await run("mount", "-t", "tmpfs", "-o", "size=64k", "inferd-test", folder);
    if (mounted) await run("umount", folder);
    return mounted;
  } finally {
    await Deno.remove(folder);
  }
}

async function run(command: string, ...args: string[]): Promise<boolean> {
  return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()).success;
}
