/** Semantics of tool choice, shared by backends and the engine's grammars. */
import type { Tool, ToolChoice } from "./request.ts";

/**
 * Whether the answer may call a tool.
 *
 * @param tool One of the request's tools.
 * @param choice The request's choice.
 */
export function mayCall({ name }: Pick<Tool, "name">, choice: ToolChoice): boolean {
  return typeof choice === "object" ? choice.name === name : choice !== "none";
}

/**
 * Whether the answer must call a tool.
 *
 * @param choice The request's choice.
 */
export function mustCall(choice: ToolChoice): boolean {
  return choice === "required" || typeof choice === "object";
}
