/** Names that the models of this provider share. */

/** What the AI SDK calls the provider. */
export const PROVIDER = "inferd";

/**
 * The model of a request.
 *
 * @param modelId What the caller said.
 * @returns The name for the daemon; nothing where it chooses.
 */
export function modelName(modelId: string): string | undefined {
  return modelId === "default" ? undefined : modelId;
}
