import { JoinedText } from "@inferd/client/protocol";

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
      if (typeof one !== "object" || one === null || one instanceof JoinedText) continue;
      for (const inner of Object.values(one)) if (typeof inner === "object") next.push(inner);
    }
    level = next;
  }
  return false;
}

/** Fields of messages and blocks that hold further ones. */
const WITHIN = ["content", "output", "tool_calls"] as const;

/**
 * Find a list of messages, documents or the like that is so long that checking and converting it would hold up others.
 *
 * @param body A request's body, not too deep.
 * @param most The most elements, those within elements included.
 * @returns The list's name.
 */
export function longList(body: unknown, most: number): string | undefined {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  // Ids of tokens are numbers, which are checked quickly.
  return Object.entries(body).find(([name, list]) => name !== "prompt" && countElements(list, most) > most)?.[0];
}

function countElements(list: unknown, most: number): number {
  if (!Array.isArray(list) || typeof list[0] === "number") return 0;
  let count = list.length;
  for (const element of list) {
    if (count > most) break;
    if (typeof element !== "object" || element === null) continue;
    for (const field of WITHIN) count += countElements((element as Record<string, unknown>)[field], most);
  }
  return count;
}
