/** Rejects unknown options: TypeScript reports them, plain JavaScript does not. */

/**
 * Check the names of options.
 *
 * @param what For the message, e.g. `embed`.
 * @param elsewhere Names that belong in another argument, and which one.
 * @throws {TypeError} If a name is not known.
 */
export function checkKeys<Options extends object>(
  what: string,
  given: Options,
  known: Readonly<Record<keyof Options, true>>,
  elsewhere: { readonly names?: object; readonly place?: string } = {},
): void {
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`Cannot ${what}: the options must be an object, not ${JSON.stringify(given)}`);
  }
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(known, key)) continue;
    if (elsewhere.names !== undefined && Object.hasOwn(elsewhere.names, key)) {
      throw new TypeError(`Cannot ${what}: "${key}" belongs in ${elsewhere.place}`);
    }
    throw new TypeError(`Cannot ${what}: unknown option "${key}". Known are: ${Object.keys(known).join(", ")}`);
  }
}
