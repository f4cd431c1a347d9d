/** The surfaces of the inference sockets, by name. */
import type { SurfaceName } from "@inferd/client/protocol";
import { embedSurface } from "./embed.ts";
import { rerankSurface } from "./rerank.ts";
import type { Surface } from "./surface.ts";
import { v1Surface } from "./v1.ts";
import { v2Surface } from "./v2.ts";

export const SURFACES: Readonly<Record<SurfaceName, Surface>> = {
  infer: v1Surface,
  v2: v2Surface,
  embed: embedSurface,
  rerank: rerankSurface,
};
