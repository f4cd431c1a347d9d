/** The JSON Schema of the configuration file, for editors; `docs/config.schema.json` is this text. */
import { z } from "zod";
import { CONFIG_FILE } from "./file.ts";

/**
 * Describe the configuration file to editors. Draft 7, which every editor knows.
 *
 * @returns The schema as JSON, with its last newline.
 */
export function configSchemaText(): string {
  return `${JSON.stringify(z.toJSONSchema(CONFIG_FILE, { io: "input", target: "draft-7" }), null, 2)}\n`;
}
