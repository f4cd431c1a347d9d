/** Yielding: how one connection or request lets all others run before it continues. */

/** Yields with a timer, because the runtime hardly polls sockets while immediates are due. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
