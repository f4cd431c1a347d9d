/** How a mock backend behaves, as it is configured. */
import { type Service, SERVICES } from "@inferd/client/protocol";

/** How a mock backend behaves; everything is optional and off. For tests and for trying out clients. */
export interface MockScript {
  /** What it answers, piece by piece. Default: a short sentence. */
  readonly tokens?: readonly string[];
  /** Answer with this many numbered tokens instead. */
  readonly count?: number;
  /** Before the first token, in milliseconds. */
  readonly firstDelayMs?: number;
  /** Before each further token, in milliseconds. */
  readonly delayMs?: number;
  /** Fail before the first token. */
  readonly failBefore?: boolean;
  /** Fail after this many tokens. */
  readonly failAt?: number;
  /** Never say anything after this many tokens; only a cancel ends it. */
  readonly hangAt?: number;
  /** Never become ready. */
  readonly neverReady?: boolean;
  /** What it thinks before it answers, piece by piece, where a request asks for that. Default: nothing. */
  readonly thinking?: readonly string[];
  /**
   * What it calls after its answer, where those tools are offered and the conversation does not end with results.
   * Default: nothing, or the first tool without arguments where a call is required.
   */
  readonly calls?: readonly { readonly name: string; readonly input: Readonly<Record<string, unknown>> }[];
  /** What it can be asked for. Default: everything. */
  readonly services?: readonly Service[];
  /** Takes images. */
  readonly vision?: boolean;
  /** Takes sound. */
  readonly audio?: boolean;
  /** Dimensions of its vectors. Default: 8. */
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

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

/** How a mock behaves, from its JSON. */
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
