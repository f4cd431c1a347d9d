/** The fields of generation v2 for filling in text, beside `prompt` and `suffix`. */
import { MAX_EXTRA_TEXTS } from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import type { ExtraText, GenerationRequest } from "../inference/request.ts";
import { readArray, readFlag, readRecord, readString } from "../pipeline/resolve.ts";

/** @throws {InvalidRequestError} If one is invalid. */
export function readInfill(
  fields: Readonly<Record<string, unknown>>,
): Pick<GenerationRequest, "extra" | "infillSampling"> {
  const { extra, suffix } = fields;
  if (extra !== undefined && suffix === undefined) throw new InvalidRequestError('"extra" goes with "suffix" only');
  return {
    ...(extra === undefined ? {} : { extra: readExtra(extra) }),
    ...(readFlag("infill_sampling", fields) ? { infillSampling: true } : {}),
  };
}

function readExtra(value: unknown): ExtraText[] {
  return readArray("extra", value, { of: "objects", max: MAX_EXTRA_TEXTS }).map((one, index) => {
    const { filename, text } = readRecord(`extra[${index}]`, one);
    return {
      ...(filename === undefined ? {} : { filename: readString(`extra[${index}].filename`, filename) }),
      text: readString(`extra[${index}].text`, text),
    };
  });
}
