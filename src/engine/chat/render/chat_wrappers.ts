/**
 * node-llama-cpp, for its chat wrappers: models without a template of their own need them. It is named here and not in
 * `deno.json`, because Deno fetches all that is named there before it starts anything, and with this package those of
 * every accelerator. The program imports this file by a computed specifier, and only when it is needed.
 */
export * from "npm:node-llama-cpp@3.21.1";
