/** @module */
export * from "./protocol/mod.ts";
