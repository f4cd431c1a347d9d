/** Loads node-llama-cpp's chat wrappers for models that need them. */
import type { Machine } from "../../../libraries/machine.ts";
import { denoFolders, type Fetch } from "../../native/libraries.ts";
import { LIBRARY_VERSION, LibraryError } from "../../../libraries/library_files.ts";

export type ChatLibrary = typeof import("node-llama-cpp");

export type LoadChatLibrary = () => Promise<ChatLibrary>;

/**
 * Import the chat wrappers, fetching them first if Deno's cache lacks them.
 *
 * @throws {LibraryError} If they cannot be loaded.
 */
export async function obtainChatLibrary(machine: Machine, fetch: Fetch): Promise<ChatLibrary> {
  const isHere = Deno.build.standalone ||
    denoFolders(machine).some((folder) => machine.exists(`${folder}/node-llama-cpp/${LIBRARY_VERSION}`));
  const failure = isHere ? undefined : fetch({ chatWrappers: true });
  if (failure !== undefined) throw new LibraryError(failure);
  return await importChatLibrary();
}

export async function importChatLibrary(): Promise<ChatLibrary> {
  // A computed specifier: Deno prefetches static ones with the program.
  return await import(import.meta.resolve("./chat_wrappers.ts"));
}
