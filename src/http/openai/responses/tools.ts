/**
 * Tools of the Responses API: functions, namespaces of functions, which become functions with both names, and tools that
 * a server runs, which this one does not.
 */
import { z } from "zod";
import { MAX_TOOLS } from "@inferd/client/protocol";
import { invalid } from "../../api_error.ts";
import { functionTool as functionFields } from "../fields.ts";

const functionTool = z.object({ type: z.literal("function"), ...functionFields.shape });
const namespaceTool = z.object({
  type: z.literal("namespace"),
  name: z.string().min(1),
  description: z.string().nullish(),
  tools: z.array(functionTool),
});
/** Agents offer them next to their own functions, whatever the server. */
const serverTool = z.object({ type: z.enum(["web_search", "web_search_preview", "image_generation"]) });

const FUNCTIONS_ONLY = 'must be "function": this server runs no tools of its own';

export const tools = z.array(z.discriminatedUnion("type", [functionTool, namespaceTool, serverTool], FUNCTIONS_ONLY))
  .max(MAX_TOOLS);

type Tools = z.output<typeof tools> | null | undefined;

/** A function's name, with that of its namespace. */
export interface FunctionName {
  readonly name: string;
  readonly namespace?: string | null | undefined;
}

/** The name under which the model knows a function. */
export function flatName({ name, namespace }: FunctionName): string {
  if (!namespace) return name;
  return namespace.endsWith("_") ? `${namespace}${name}` : `${namespace}__${name}`;
}

/** @throws {ApiError} If all tools are the server's. */
export function functionsIn(given: Tools): Omit<z.output<typeof functionTool>, "type">[] {
  const functions = offered(given).flatMap((tool) =>
    tool.type === "function"
      ? [tool]
      : tool.tools.map((own) => ({ ...own, name: flatName({ namespace: tool.name, name: own.name }) }))
  );
  if (functions.length === 0 && given?.some(({ type }) => type !== "namespace")) {
    throw invalid("tools[0].type", FUNCTIONS_ONLY);
  }
  return functions;
}

/** The tools as they were given, without the server's. */
export function offered(given: Tools): (z.output<typeof functionTool> | z.output<typeof namespaceTool>)[] {
  return (given ?? []).filter((tool) => tool.type === "function" || tool.type === "namespace");
}

/** Types of the tools that are not offered. */
export function leftOut(given: Tools): string[] {
  return (given ?? []).map(({ type }) => type).filter((type) => type !== "function" && type !== "namespace");
}

/** The names by which a client knows a function that the model calls. */
export function namesOf(flat: string, given: Tools): FunctionName {
  for (const tool of given ?? []) {
    if (tool.type !== "namespace") continue;
    const own = tool.tools.find(({ name }) => flatName({ namespace: tool.name, name }) === flat);
    if (own !== undefined) return { name: own.name, namespace: tool.name };
  }
  return { name: flat };
}
