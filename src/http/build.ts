/** The program's version, as the APIs tell it. */
import config from "../../deno.json" with { type: "json" };

/** In llama-server's form, a `b` before the number, by which its clients know a fingerprint. */
export const BUILD = `b${config.version}-inferd`;
