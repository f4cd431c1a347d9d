/** Path of a daemon's pid file. */
const LOCK_ENDING = /\.lock$/;

/**
 * Pid file of the daemon that holds a lock: `inferd.pid` next to `inferd.lock`.
 *
 * @param lockPath The lock file.
 * @returns The path.
 */
export function pidPathOf(lockPath: string): string {
  return `${lockPath.replace(LOCK_ENDING, "")}.pid`;
}
