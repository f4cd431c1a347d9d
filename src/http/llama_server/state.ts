/** llama-server's `/props` and `/slots`, as far as the daemon has equivalents. */
import type { Context } from "hono";
import { ApiError } from "../api_error.ts";
import type { Bridge } from "../bridge.ts";
import { BUILD } from "../build.ts";
import type { ServedModel } from "../daemon_link.ts";
import { settingsOf } from "./settings.ts";

/** The model in the query, or the first that generates. */
function asked(context: Context, { link }: Bridge): Promise<ServedModel> {
  return link.model(context.req.query("model"), "generate");
}

/** Respond with the model's properties and the default request parameters. */
export async function props(context: Context, bridge: Bridge): Promise<Response> {
  const { name, backends: [first] } = await asked(context, bridge);
  return context.json({
    default_generation_settings: {
      n_ctx: first.contextTokens ?? 0,
      params: settingsOf({}, first.defaults),
    },
    total_slots: first.parallel ?? 1,
    model_alias: name,
    model_ftype: first.modelFile?.quantisation ?? "",
    // The file's name; its folder is nobody's business.
    model_path: first.modelFile === undefined ? name : `${first.model ?? name}.gguf`,
    modalities: { vision: first.vision, video: false, audio: first.audio },
    endpoint_slots: true,
    endpoint_props: false,
    endpoint_metrics: true,
    build_info: BUILD,
    is_sleeping: first.state === "asleep",
  });
}

/**
 * Respond with the model's slots and whether they are busy. The daemon's queue has counts only, so the first slots are
 * reported as the busy ones.
 */
export async function slots(context: Context, bridge: Bridge): Promise<Response> {
  const { backends: [first] } = await asked(context, bridge);
  const { capabilities } = await bridge.link.snapshot();
  const { parallel = 1, contextTokens = 0, queue, draft } =
    capabilities.find(({ backend }) => backend === first.backend) ??
      first;
  const busy = queue?.active ?? 0;
  if (context.req.query("fail_on_no_slot") && busy >= parallel) {
    throw new ApiError(503, "All slots are busy", { code: "no_slot_available" });
  }
  return context.json(Array.from({ length: parallel }, (_, id) => ({
    id,
    n_ctx: contextTokens,
    speculative: draft !== undefined,
    is_processing: id < busy,
  })));
}
