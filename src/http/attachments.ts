/** Collects the media of a conversation: blocks refer to them, the request carries them. */
import type { Attachment, MediaBlock } from "@inferd/client";

/** The media of one request. */
export class MediaCollector {
  readonly #attachments: Attachment[] = [];

  /** What was collected; absent where there is none. */
  get attachments(): readonly Attachment[] | undefined {
    return this.#attachments.length === 0 ? undefined : this.#attachments;
  }

  /**
   * Keep one.
   *
   * @param kind What it is.
   * @param mime Its media type.
   * @param base64 Its bytes.
   * @returns The block that shows it.
   */
  add(kind: Attachment["kind"], mime: string, base64: string): MediaBlock {
    const id = `media-${this.#attachments.length + 1}`;
    this.#attachments.push({ id, kind, mime, bytes: base64 });
    return { type: kind, attachmentId: id };
  }
}
