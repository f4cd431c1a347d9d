/**
 * Devices and the kernel's files (`/dev`, `/proc`, `/sys`), through libc: Deno shows them only to a process that has all
 * permissions. Linux only.
 */
import { LIBC } from "./c_library.ts";

const F_OK = 0;
const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
/** Maximum bytes read of a file; of a whole one at a time. */
const MOST_BYTES = 4096;

export interface KernelFiles {
  exists(path: string): boolean;
  /** Its beginning; `undefined` if it cannot be read. */
  read(path: string): Uint8Array<ArrayBuffer> | undefined;
  text(path: string): string | undefined;
  /** All of it, however long; `undefined` if it cannot be opened. */
  whole(path: string): string | undefined;
  /**
   * Open a file for good, for a process that can open nothing later.
   *
   * @returns A function that reads its beginning, as it is then; `undefined` if it cannot be opened.
   */
  open(path: string): (() => Uint8Array<ArrayBuffer>) | undefined;
}

/** @returns `undefined` on other systems. Needs `ffi`. */
export function kernelFiles(): KernelFiles | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const { access, open, read: readOn, pread, close } = Deno.dlopen(
    LIBC,
    {
      access: { parameters: ["buffer", "i32"], result: "i32" },
      open: { parameters: ["buffer", "i32"], result: "i32" },
      read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
      close: { parameters: ["i32"], result: "i32" },
    } as const,
  ).symbols;
  const cPath = (path: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${path}\0`);
  const beginning = (file: number): Uint8Array<ArrayBuffer> | undefined => {
    const buffer = new Uint8Array(MOST_BYTES);
    const length = Number(pread(file, buffer, BigInt(buffer.length), 0n));
    return length < 0 ? undefined : buffer.subarray(0, length);
  };
  const read = (path: string): Uint8Array<ArrayBuffer> | undefined => {
    const file = open(cPath(path), O_RDONLY | O_CLOEXEC);
    if (file < 0) return undefined;
    const bytes = beginning(file);
    close(file);
    return bytes;
  };
  return {
    exists: (path) => access(cPath(path), F_OK) === 0,
    read,
    text(path): string | undefined {
      const bytes = read(path);
      return bytes && new TextDecoder().decode(bytes);
    },
    whole(path): string | undefined {
      const file = open(cPath(path), O_RDONLY | O_CLOEXEC);
      if (file < 0) return undefined;
      const buffer = new Uint8Array(MOST_BYTES);
      const decoder = new TextDecoder();
      let text = "";
      for (;;) {
        const length = Number(readOn(file, buffer, BigInt(buffer.length)));
        if (length <= 0) break;
        text += decoder.decode(buffer.subarray(0, length), { stream: true });
      }
      close(file);
      return text;
    },
    open(path): (() => Uint8Array<ArrayBuffer>) | undefined {
      const file = open(cPath(path), O_RDONLY | O_CLOEXEC);
      return file < 0 ? undefined : () => beginning(file) ?? new Uint8Array(0);
    },
  };
}
