/**
 * Give an async generator an interrupt: a generator alone finishes what it waits for before it heeds `return()`, and
 * never runs its `finally` when it was not started.
 *
 * @param interrupt Makes what the generator waits for settle; called when the consumer leaves, also after the end.
 */
export function interruptible<T>(events: AsyncGenerator<T, void, void>, interrupt: () => void): AsyncIterator<T, void> {
  return {
    next: () => events.next(),
    return: () => {
      interrupt();
      return events.return();
    },
  };
}
