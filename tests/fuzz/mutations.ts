/** Makes hostile inputs out of good ones: damaged bytes, and damaged structure that still parses. */

type Random = () => number;

/** Numbers, texts and shapes that limits and parsers stumble over. */
const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1e308,
  2 ** 53,
  "",
  "\u0000",
  "\ud800",
  "__proto__",
  "x".repeat(5000),
  [],
  {},
  [[[[[[]]]]]],
  { $ref: "#" },
];
const MAX_REPEATS = 200;

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

/** Flip, cut, insert, repeat: no structure is kept. */
export function damageBytes(random: Random, bytes: Uint8Array): Uint8Array {
  const all = [...bytes.subarray(0, 100_000)];
  for (let count = 1 + below(random, 4); count > 0; count--) {
    const at = below(random, all.length + 1);
    const kind = below(random, 4);
    if (kind === 0) all[at] = below(random, 256);
    else if (kind === 1) all.splice(at, 1 + below(random, 16));
    else if (kind === 2) all.splice(at, 0, ...Array.from({ length: below(random, 16) }, () => below(random, 256)));
    else {
      const piece = all.slice(at, at + 1 + below(random, 12));
      for (let times = below(random, MAX_REPEATS); times > 0; times--) all.splice(at, 0, ...piece);
    }
  }
  return new Uint8Array(all);
}

/** The same for a text. */
export function damageText(random: Random, text: string): string {
  return new TextDecoder().decode(damageBytes(random, new TextEncoder().encode(text)));
}

/** Another JSON value: members replaced, removed, doubled, or nested in themselves. */
export function damageValue(random: Random, value: unknown): unknown {
  if (random() < 0.15) return VALUES[below(random, VALUES.length)];
  if (Array.isArray(value)) {
    const list = value.map((one) => random() < 0.5 ? damageValue(random, one) : one);
    if (random() < 0.2) list.splice(below(random, list.length + 1), 1);
    if (random() < 0.2) list.push(...list.slice(0, 5), structuredClone(value));
    return list;
  }
  if (typeof value !== "object" || value === null) {
    return typeof value === "string" && random() < 0.5 ? damageText(random, value) : value;
  }
  const entries = Object.entries(value).filter(() => random() > 0.08)
    .map(([name, one]): [string, unknown] => [
      random() < 0.05 ? damageText(random, name) : name,
      random() < 0.6 ? damageValue(random, one) : one,
    ]);
  if (random() < 0.2) entries.push([`extra${below(random, 9)}`, structuredClone(value)]);
  return Object.fromEntries(entries);
}
