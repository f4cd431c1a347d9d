/** Wrong flags, environment, file or values: the program says this one line and exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
