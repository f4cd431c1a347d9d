/** The machine the engine runs on, behind the interface of `libraries/machine.ts`. */
import type { Machine } from "../../libraries/machine.ts";

/** Maximum bytes read from a device or kernel file. */
const MOST_KERNEL_BYTES = 4096;

/** @returns Its capabilities. Needs `read` for everything, and `ffi`. */
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
    return false; // Not visible means not usable.
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

/** Reads devices and kernel files through libc. */
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
