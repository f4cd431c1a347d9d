/** Giving way: how one connection or request lets all others run before it goes on. */

/** Lets everybody else run first; by a timer, because the runtime hardly looks at sockets while immediates are due. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
