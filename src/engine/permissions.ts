/**
 * What the engine process may still do while it serves: nothing. It is given permissions to load (`command.ts`), and what
 * is loaded needs none: the library is open, and its memory in view.
 */

/** Give back every permission, for good. */
export function giveBackPermissions(): void {
  for (const name of ["read", "write", "net", "run", "ffi", "env", "sys", "import"] as const) {
    Deno.permissions.revokeSync({ name });
  }
}
