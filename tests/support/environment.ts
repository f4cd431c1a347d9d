/** Variables of this process. */

/** Every variable that Deno takes a proxy from. */
export const PROXY_VARIABLES: readonly string[] = [
  ...["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
];

/**
 * Set variables of this process for as long as the result lives.
 *
 * @param variables What they are to be; undefined: not set.
 * @returns Puts back what they were.
 */
export function withEnv(variables: Readonly<Record<string, string | undefined>>): Disposable {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(variables)) set(name, value);
  return {
    [Symbol.dispose]: () => {
      for (const [name, value] of before) set(name, value);
    },
  };
}

function set(name: string, value: string | undefined): void {
  if (value === undefined) Deno.env.delete(name);
  else Deno.env.set(name, value);
}
