/** The JSON Schema of the configuration file, for editors; `docs/config.schema.json` is this text. */
import { z } from "zod";
import { configFileSchema } from "./file.ts";
import { TABLES } from "./backends/backend_schema.ts";
import type { Tables } from "./setting/setting.ts";

/**
 * Describe the configuration file to editors. Draft 7, which every editor knows.
 *
 * @param tables The settings there are.
 * @returns The schema as JSON, with its last newline.
 */
export function configSchemaText(tables: Tables = TABLES): string {
  return `${JSON.stringify(z.toJSONSchema(configFileSchema(tables), { io: "input", target: "draft-7" }), null, 2)}\n`;
}
