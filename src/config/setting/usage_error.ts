/** Invalid flags, environment, file or values: the program prints the one-line message and exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
