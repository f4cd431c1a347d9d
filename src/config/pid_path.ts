/** Where a daemon's pid file is. */
const LOCK_ENDING = /\.lock$/;

/**
 * The pid file of the daemon that holds a lock: `inferd.pid` beside `inferd.lock`.
 *
 * @param lockPath The lock file.
 * @returns Where it is.
 */
export function pidPathOf(lockPath: string): string {
  return `${lockPath.replace(LOCK_ENDING, "")}.pid`;
}
