/** The machine that the engine runs on, as `libraries/machine.ts` asks for it. */
import type { Machine } from "../../libraries/machine.ts";

/** A device or a file of the kernel has no more to say than this. */
const MOST_KERNEL_BYTES = 4096;

/**
 * This machine.
 *
 * @param env What the process may see of its environment.
 * @returns What can be asked of it. Needs `read` for everything, and `ffi`.
 */
export function thisMachine(env: (name: string) => string | undefined): Machine {
  const kernel = Deno.build.os === "linux" ? kernelFiles() : undefined;
  return {
    os: Deno.build.os,
    arch: Deno.build.arch,
    env,
    exists: (path) => isOfKernel(path) ? kernel?.exists(path) ?? false : exists(path),
    list,
    read: (path) => isOfKernel(path) ? kernel?.read(path) : read(path),
  };
}

/** Deno requires all permissions to read these. */
function isOfKernel(path: string): boolean {
  return /^\/(dev|proc|sys)\//.test(path);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false; // What cannot be seen cannot be used either.
  }
}

function list(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch {
    return [];
  }
}

function read(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch {
    return undefined;
  }
}

/** The same for devices and the kernel's own files: asked of the system itself. */
function kernelFiles(): Pick<Machine, "exists" | "read"> {
  const F_OK = 0;
  const O_RDONLY = 0;
  const { access, open, read, close } = Deno.dlopen(
    "libc.so.6",
    {
      access: { parameters: ["buffer", "i32"], result: "i32" },
      open: { parameters: ["buffer", "i32"], result: "i32" },
      read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      close: { parameters: ["i32"], result: "i32" },
    } as const,
  ).symbols;
  const cPath = (path: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${path}\0`);
  return {
    exists: (path) => access(cPath(path), F_OK) === 0,
    read(path): Uint8Array | undefined {
      const file = open(cPath(path), O_RDONLY);
      if (file < 0) return undefined;
      const buffer = new Uint8Array(MOST_KERNEL_BYTES);
      const length = Number(read(file, buffer, BigInt(buffer.length)));
      close(file);
      return length < 0 ? undefined : buffer.subarray(0, length);
    },
  };
}
