/**
 * node-llama-cpp's chat wrappers, for models without a template of their own. Imported here and not listed as an npm
 * specifier in `deno.json`: Deno would fetch the package and its binaries for every accelerator before start. This file
 * is imported by a computed specifier, and only on demand.
 */
export * from "npm:node-llama-cpp@3.21.1";
