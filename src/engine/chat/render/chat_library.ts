/** Gets node-llama-cpp's chat wrappers when a model turns out to need them. */
import type { Machine } from "../../../libraries/machine.ts";
import { denoFolders, type Fetch } from "../../native/libraries.ts";
import { LIBRARY_VERSION, LibraryError } from "../../../libraries/library_files.ts";

/** What is used of node-llama-cpp. */
export type ChatLibrary = typeof import("node-llama-cpp");

/** Loads it. */
export type LoadChatLibrary = () => Promise<ChatLibrary>;

/**
 * Import the wrappers; have them fetched before if they are not in Deno's cache.
 *
 * @param machine Says where that is.
 * @param fetch Has them fetched.
 * @returns The wrappers.
 * @throws {LibraryError} If they cannot be loaded.
 */
export async function obtainChatLibrary(machine: Machine, fetch: Fetch): Promise<ChatLibrary> {
  const isHere = Deno.build.standalone ||
    denoFolders(machine).some((folder) => machine.exists(`${folder}/node-llama-cpp/${LIBRARY_VERSION}`));
  const failure = isHere ? undefined : fetch({ chatWrappers: true });
  if (failure !== undefined) throw new LibraryError(failure);
  return await importChatLibrary();
}

/** Import the wrappers. */
export async function importChatLibrary(): Promise<ChatLibrary> {
  // Computed: what is named in the source is fetched with the program.
  return await import(import.meta.resolve("./chat_wrappers.ts"));
}
