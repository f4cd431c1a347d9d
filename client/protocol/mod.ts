/**
 * The wire format as types, shared by daemon and client.
 *
 * @example
 * ```ts
 * import { MAX_FRAME_BYTES, type V1Request } from "@inferd/client/protocol";
 *
 * const request: V1Request = { id: "1", messages: [{ role: "user", content: "hello" }] };
 * console.assert(JSON.stringify(request).length < MAX_FRAME_BYTES);
 * ```
 *
 * @module
 */
export * from "./admin.ts";
export * from "./dispatch.ts";
export * from "./embed.ts";
export * from "./gradual_json.ts";
export * from "./limits.ts";
export * from "./loopback.ts";
export * from "./model_file.ts";
export * from "./rerank.ts";
export * from "./surfaces.ts";
export * from "./tokenizer.ts";
export * from "./v1.ts";
export * from "./v2.ts";
