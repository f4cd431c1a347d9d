/** Families whose message headers name a channel: thoughts and answers differ only in that name. */
import type { ChannelForm } from "../dialect/dialect.ts";
import { type Marker, type MarkerPart, type SpecialTokens, textOf } from "../dialect/marker.ts";
import type { Traits } from "./traits.ts";

const ROLE = "assistant";
/** Templates put the channel of a call after the tool's name; models write it before (gpt-oss). */
const CALL_CHANNEL = "commentary";
const CONSTRAIN = "<|constrain|>";

/** Derive the channel syntax from the headers of a thought and of a text. */
export function channelsOf(
  { thought, text: { opens } }: Traits,
  specials: SpecialTokens,
): ChannelForm | undefined {
  const open = thought?.open;
  const final = opens[0];
  if (thought === undefined || open?.length !== 3 || final?.length !== 3) return undefined;
  const [channel, name, body] = open;
  if (typeof channel !== "object" || typeof name !== "string" || typeof body !== "object") return undefined;
  if (textOf([channel]) !== textOf([final[0] as MarkerPart]) || textOf([body]) !== textOf([final[2] as MarkerPart])) {
    return undefined;
  }
  const further = opens.find((marker) => marker.length > final.length);
  const [start] = further ?? [];
  if (typeof start !== "object") return undefined;
  return {
    start: start.text,
    channel: channel.text,
    body: body.text,
    close: textOf(thought.close),
    thought: name,
    write: {
      final,
      start: [start, ROLE],
      call: [channel, CALL_CHANNEL],
      afterName: [[" ", ...specials.marker(CONSTRAIN), "json", body], [" json", body], [body]] satisfies Marker[],
    },
  };
}
