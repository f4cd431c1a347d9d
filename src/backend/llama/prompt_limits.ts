/** Refuses prompts that cannot fit before they reach the engine, which is shared. */
import { isLonger, type LongText } from "@inferd/client/protocol";
import type { BackendCapabilities } from "../../inference/backend.ts";
import { ContextLengthError } from "../../inference/errors.ts";
import { leastTokens, tooLongMessage } from "../../inference/prompt_size.ts";
import type { GenerationRequest, TokenizerRequest } from "../../inference/request.ts";

/**
 * Characters of a request per token of the context, thoughts and the arguments of calls included; natural text has about
 * four. At least so many in all, and at most.
 */
const CHARACTERS_PER_TOKEN = 16;
const LEAST_CHARACTERS = 1024 * 1024;
const MOST_CHARACTERS = 8 * 1024 * 1024;

/**
 * Refuse a prompt that cannot fit in the context.
 *
 * @param longestPiece Length in bytes of the longest token; undefined: not known.
 * @throws {ContextLengthError} If it cannot fit.
 */
export function checkFits(
  request: GenerationRequest<LongText>,
  capabilities: BackendCapabilities | undefined,
  longestPiece: number | undefined,
): void {
  const { contextTokens } = capabilities ?? {};
  // With extra texts the engine cuts the prompt.
  if (contextTokens !== undefined && longestPiece !== undefined && request.extra === undefined) {
    const least = leastTokens(request, longestPiece);
    const size = { promptTokens: least, contextTokens };
    if (least >= contextTokens) throw new ContextLengthError(tooLongMessage(size, true), size);
  }
  checkCharacters(request, capabilities);
}

/**
 * Refuse a request whose characters alone would keep the engine busy, such as megabytes of thoughts.
 *
 * @throws {ContextLengthError} If it has too many.
 */
export function checkCharacters(
  request: GenerationRequest<LongText> | TokenizerRequest<LongText>,
  { contextTokens = Infinity }: Partial<Pick<BackendCapabilities, "contextTokens">> = {},
): void {
  const most = Math.min(MOST_CHARACTERS, Math.max(LEAST_CHARACTERS, contextTokens * CHARACTERS_PER_TOKEN));
  if (!isLonger(request, most)) return;
  throw new ContextLengthError(`The request has more than ${most} characters; that exceeds the available context size`);
}
