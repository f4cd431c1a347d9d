/** Collects a conversation's media: blocks refer to them, the request carries them. */
import type { Attachment, MediaBlock } from "@inferd/client";
import type { LongText } from "@inferd/client/protocol";

export class MediaCollector {
  readonly #attachments: Attachment<LongText>[] = [];

  /** The collected media; undefined if none. */
  get attachments(): readonly Attachment<LongText>[] | undefined {
    return this.#attachments.length === 0 ? undefined : this.#attachments;
  }

  add(kind: Attachment["kind"], mime: string, base64: LongText): MediaBlock {
    const id = `media-${this.#attachments.length + 1}`;
    this.#attachments.push({ id, kind, mime, bytes: base64 });
    return { type: kind, attachmentId: id };
  }
}
