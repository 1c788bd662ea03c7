/** Runs `work` for every item, at most `concurrency` at a time, in order; begins no more once `isStopped()`. */
export async function runParallel<Item>(
  items: readonly Item[],
  concurrency: number,
  isStopped: () => boolean,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  // One iterator for all runners: each takes the next item that nobody has taken.
  const remaining = items.values();
  async function runner(): Promise<void> {
    for (const item of remaining) {
      if (isStopped()) return;
      await work(item);
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(concurrency, items.length)) }, runner));
}
