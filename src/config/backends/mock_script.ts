/** Configuration of a mock backend's behaviour. */
import { type Service, SERVICES } from "@inferd/client/protocol";
import { isObject } from "../../inference/objects.ts";

/** Behaviour of a mock backend, for tests and for trying out clients; all fields are optional. */
export interface MockScript {
  /** Chunks of its answer. Default: a short sentence. */
  readonly tokens?: readonly string[];
  /** Answer with this many numbered tokens instead. */
  readonly count?: number;
  /** Delay before the first token, in milliseconds. */
  readonly firstDelayMs?: number;
  /** Delay before each further token, in milliseconds. */
  readonly delayMs?: number;
  /** Fail before the first token. */
  readonly failBefore?: boolean;
  /** Fail after this many tokens. */
  readonly failAt?: number;
  /** Hang after this many tokens, until cancelled. */
  readonly hangAt?: number;
  /** Never become ready. */
  readonly neverReady?: boolean;
  /** Chunks of its thoughts before an answer, if requested. Default: none. */
  readonly thinking?: readonly string[];
  /**
   * Tool calls after its answer, if those tools are offered and the conversation does not end with results. Default:
   * none, or the first tool without arguments if a call is required.
   */
  readonly calls?: readonly { readonly name: string; readonly input: Readonly<Record<string, unknown>> }[];
  /** Services it supports. Default: all. */
  readonly services?: readonly Service[];
  readonly vision?: boolean;
  readonly audio?: boolean;
  /** Dimensions of its embeddings. Default: 8. */
  readonly dimensions?: number;
}

const FIELDS: { readonly [Key in keyof Required<MockScript>]: (value: unknown) => boolean } = {
  tokens: isTexts,
  count: isCount,
  firstDelayMs: isCount,
  delayMs: isCount,
  failBefore: isBoolean,
  failAt: isCount,
  hangAt: isCount,
  neverReady: isBoolean,
  thinking: isTexts,
  calls: (value) => Array.isArray(value) && value.every(isCall),
  services: (value) => Array.isArray(value) && value.length > 0 && value.every((service) => SERVICES.includes(service)),
  vision: isBoolean,
  audio: isBoolean,
  dimensions: (value) => isCount(value) && value !== 0,
};

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function isCall(value: unknown): boolean {
  return isObject(value) && "name" in value && typeof value.name === "string" && "input" in value &&
    isObject(value.input);
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

export function mockScript(text: string): MockScript {
  const allowed = `must be a JSON object with any of ${Object.keys(FIELDS).join(", ")}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(allowed);
  }
  if (!isObject(value)) throw new Error(allowed);
  for (const [key, entry] of Object.entries(value)) {
    const check = Object.hasOwn(FIELDS, key) ? FIELDS[key as keyof MockScript] : undefined;
    if (!check?.(entry)) throw new Error(`${allowed}; ${JSON.stringify(key)} does not fit`);
  }
  return value;
}
