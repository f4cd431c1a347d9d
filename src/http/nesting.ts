/** How deep a JSON value may be nested: far more than any request needs, far less than what overflows the stack. */
export const MAX_NESTING = 512;

/**
 * Whether a value is nested deeper than {@linkcode MAX_NESTING}. Parsing takes any depth; whatever recurses later,
 * writing JSON among it, does not.
 *
 * @param value As JSON was parsed.
 */
export function isTooDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_NESTING) return true;
    const next: unknown[] = [];
    for (const one of level) {
      if (typeof one !== "object" || one === null) continue;
      for (const inner of Object.values(one)) if (typeof inner === "object") next.push(inner);
    }
    level = next;
  }
  return false;
}
