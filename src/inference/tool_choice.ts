/** Semantics of tool choice, shared by backends and the engine's grammars. */
import type { Tool, ToolChoice } from "./request.ts";

export function mayCall({ name }: Pick<Tool, "name">, choice: ToolChoice): boolean {
  return typeof choice === "object" ? choice.name === name : choice !== "none";
}

export function mustCall(choice: ToolChoice): boolean {
  return choice === "required" || typeof choice === "object";
}
