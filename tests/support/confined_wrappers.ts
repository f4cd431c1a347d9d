/** Imports the chat wrappers in a worker, as the engine of an executable does; exits with 7 when it has them. */
import { exit, ownArguments, runConfined } from "../../src/confinement/confined.ts";
import { importChatLibrary } from "../../src/engine/chat/render/chat_library.ts";

if (!("postMessage" in globalThis)) Deno.exit(await runConfined(Deno.args.slice(1)));
await ownArguments();
await importChatLibrary();
exit(7);
