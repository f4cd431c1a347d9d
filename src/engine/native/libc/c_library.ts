/** The C library: copying from native memory and printing it, which Deno does only with a permission. */

const STDERR = 2;

/** The C library, by its loader name. */
export const LIBC: string = Deno.build.os === "darwin" ? "libSystem.dylib" : "libc.so.6";

/** Its memory copy. */
export function memoryCopy(): (target: Float32Array<ArrayBuffer>, source: Deno.PointerValue, bytes: bigint) => unknown {
  const copy = { parameters: ["buffer", "pointer", "usize"], result: "pointer" } as const;
  const move = { parameters: ["buffer", "pointer", "usize"], result: "void" } as const;
  return Deno.build.os === "windows"
    ? Deno.dlopen("kernel32.dll", { RtlMoveMemory: move }).symbols.RtlMoveMemory
    : Deno.dlopen(LIBC, { memcpy: copy }).symbols.memcpy;
}

/** Writes a text of native memory to stderr; reading it here would need a permission. Undefined where that cannot be. */
export function nativePrint(): ((text: Deno.PointerObject) => void) | undefined {
  if (Deno.build.os === "windows") return undefined;
  const { strlen, write } = Deno.dlopen(LIBC, {
    strlen: { parameters: ["pointer"], result: "usize" },
    write: { parameters: ["i32", "pointer", "usize"], result: "isize" },
  }).symbols;
  return (text) => void write(STDERR, text, strlen(text));
}
