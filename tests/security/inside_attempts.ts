/** Everything that code in a process of ours is to be refused, tried from inside; for programs that tests start. */
import inspector from "node:inspector";

const LIBC = Deno.build.os === "darwin" ? "/usr/lib/libSystem.B.dylib" : "libc.so.6";

const ATTEMPTS: Readonly<Record<string, () => unknown>> = {
  read: () => Deno.readTextFileSync("/etc/hosts"),
  write: () => Deno.writeTextFileSync("/tmp/inferd-attempt", ""),
  // A port that nothing listens on: where it is allowed, the error is another one.
  net: () => Deno.connect({ hostname: "127.0.0.1", port: 1 }),
  listen: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  run: () => new Deno.Command("sh", { args: ["-c", "true"] }).outputSync(),
  env: () => Deno.env.get("INFERD_API_KEY"),
  sys: () => Deno.hostname(),
  ffi: () => Deno.dlopen(LIBC, {}),
  inspector: () => inspector.open(0),
};

/**
 * Try everything.
 *
 * @returns What was refused for want of a permission, and what was not with what came of it.
 */
export async function attemptAll(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, attempt] of Object.entries(ATTEMPTS)) {
    try {
      await attempt();
      found[name] = "allowed";
    } catch (error) {
      found[name] = error instanceof Deno.errors.NotCapable ? "refused" : String(error);
    }
  }
  return found;
}

/** Resolves when this process no longer has a permission, of which Deno tells nobody. Keeps no process alive. */
export function onceDropped(permission: Deno.PermissionDescriptor): Promise<void> {
  return new Promise((resolve) => {
    // deno-lint-ignore tests/no-timers -- in a program that a test starts; the monitor of it never drops any
    const look = setInterval(() => {
      if (Deno.permissions.querySync(permission).state === "granted") return;
      clearInterval(look);
      resolve();
    }, 5);
    Deno.unrefTimer(look);
  });
}

/** What {@linkcode attemptAll} finds where all is refused. */
export const ALL_REFUSED: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(ATTEMPTS).map((name) => [name, "refused"]),
);
