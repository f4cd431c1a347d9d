/** JSON Schema of the configuration file, for editors; `docs/config.schema.json` holds this text. */
import { z } from "zod";
import { configFileSchema } from "./file.ts";
import { TABLES } from "./backends/backend_schema.ts";
import type { Tables } from "./setting/setting.ts";

/** Generate the JSON Schema. Draft 7, which every editor supports. */
export function configSchemaText(tables: Tables = TABLES): string {
  return `${JSON.stringify(z.toJSONSchema(configFileSchema(tables), { io: "input", target: "draft-7" }), null, 2)}\n`;
}
