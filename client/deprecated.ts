/** Former names of types. */
import type { Tool } from "./blocks.ts";
import type {
  DoneEvent,
  Generation,
  GenerationEvent,
  GenerationResult,
  StopReason,
  TextEvent,
} from "./generation_events.ts";

/**
 * The former name of {@linkcode Generation}.
 *
 * @deprecated Use {@linkcode Generation}.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerationV2, Generation } from "@inferd/client";
 *
 * export const same = (value: GenerationV2): Generation => value;
 * ```
 */
export type GenerationV2<Tools extends readonly Tool[] = readonly Tool[]> = Generation<Tools>;

/**
 * The former name of {@linkcode GenerationEvent}.
 *
 * @deprecated Use {@linkcode GenerationEvent}.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerationV2Event, GenerationEvent } from "@inferd/client";
 *
 * export const same = (value: GenerationV2Event): GenerationEvent => value;
 * ```
 */
export type GenerationV2Event<Tools extends readonly Tool[] = readonly Tool[]> = GenerationEvent<Tools>;

/**
 * The former name of {@linkcode GenerationResult}.
 *
 * @deprecated Use {@linkcode GenerationResult}.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerationV2Result, GenerationResult } from "@inferd/client";
 *
 * export const same = (value: GenerationV2Result): GenerationResult => value;
 * ```
 */
export type GenerationV2Result<Tools extends readonly Tool[] = readonly Tool[]> = GenerationResult<Tools>;

/**
 * The former name of {@linkcode DoneEvent}.
 *
 * @deprecated Use {@linkcode DoneEvent}.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { DoneV2Event, DoneEvent } from "@inferd/client";
 *
 * export const same = (value: DoneV2Event): DoneEvent => value;
 * ```
 */
export type DoneV2Event<Tools extends readonly Tool[] = readonly Tool[]> = DoneEvent<Tools>;

/**
 * The former name of {@linkcode StopReason}.
 *
 * @deprecated Use {@linkcode StopReason}.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { GenerationV2StopReason, StopReason } from "@inferd/client";
 *
 * export const same = (value: GenerationV2StopReason): StopReason => value;
 * ```
 */
export type GenerationV2StopReason = StopReason;

/**
 * The former name of {@linkcode TextEvent}.
 *
 * @deprecated Use {@linkcode TextEvent}.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { TokenEvent, TextEvent } from "@inferd/client";
 *
 * export const same = (value: TokenEvent): TextEvent => value;
 * ```
 */
export type TokenEvent = TextEvent;
