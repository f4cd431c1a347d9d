/** Maximum nesting of JSON: far above real requests, far below a stack overflow. */
export const MAX_NESTING = 512;

/**
 * Whether a value is nested deeper than {@linkcode MAX_NESTING}. `JSON.parse` accepts any depth, but recursive code
 * such as `JSON.stringify` does not.
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
