/** What a request comes to on a backend, without admission, routing and sockets. */
import type { Backend } from "../../src/inference/backend.ts";
import { drive, toLine } from "../../src/pipeline/pipeline.ts";
import type { LastFrame, ResolvedRequest, Terminal } from "../../src/pipeline/resolve.ts";

/** A line that was sent, or the end. */
export type Step = string | Terminal<string>;

/** Run a request to its end: every line it sends, and the end with its frame as a line. */
export async function stepsOf(
  request: ResolvedRequest<LastFrame>,
  backend: Backend,
  options: { readonly signal?: AbortSignal; readonly queuedMs?: number } = {},
): Promise<Step[]> {
  const { signal = new AbortController().signal, queuedMs } = options;
  const steps: Step[] = [];
  const end = await drive(request.answer(backend, signal, queuedMs), {
    signal,
    send: (frame) => {
      steps.push(frame);
      return undefined;
    },
  });
  steps.push({ ...end, frame: toLine(end.frame) });
  return steps;
}
