/**
 * Runs a module of this program in a worker with exact permissions, for executables made by `deno compile`, whose own
 * permissions are fixed. The main thread drops all of its permissions before the module runs, and then only waits for
 * its exit code. Also what such a module uses in place of `Deno.args` and `Deno.exit`, wherever it runs.
 */

/** First argument of an executable that is to run a module in a worker. */
export const CONFINED_ARGUMENT = "confined";

/** From the worker: its modules are loaded. */
const LOADED = "loaded";

/** Present only in a worker. */
const { postMessage }: { readonly postMessage?: (message: unknown) => void } = globalThis as object;

/** `permissions`: all that the module gets. `self`: arguments that run this program; none in an executable. */
export function confinedArguments(module: string, args: readonly string[], { permissions, self }: {
  readonly permissions: Deno.PermissionOptionsObject;
  readonly self: readonly string[];
}): string[] {
  return [...self, CONFINED_ARGUMENT, JSON.stringify(permissions), module, ...args];
}

/** Run a module, given what {@linkcode confinedArguments} puts after {@linkcode CONFINED_ARGUMENT}. */
export function runConfined([permissions = "{}", module = "", ...args]: readonly string[]): Promise<number> {
  const worker = new Worker(module, { type: "module", deno: { permissions: JSON.parse(permissions) } });
  return new Promise((resolve) => {
    worker.onmessage = ({ data }): void => {
      if (data !== LOADED) return resolve(Number(data));
      // Loading modules took permissions of this thread.
      for (const name of ["read", "write", "net", "run", "ffi", "sys", "env", "import"] as const) {
        Deno.permissions.revokeSync({ name });
      }
      worker.postMessage(args);
    };
  });
}

/** Arguments of the module that this process runs. */
export async function ownArguments(): Promise<readonly string[]> {
  if (postMessage === undefined) return Deno.args;
  const { promise, resolve } = Promise.withResolvers<readonly string[]>();
  addEventListener("message", (event) => resolve((event as MessageEvent<readonly string[]>).data), { once: true });
  postMessage(LOADED);
  return await promise;
}

/** Exit this process: `Deno.exit` would end only a worker. */
export function exit(code: number): never {
  if (postMessage === undefined) Deno.exit(code);
  postMessage(code);
  // Until the main thread exits.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
