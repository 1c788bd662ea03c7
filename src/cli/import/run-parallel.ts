/** Runs `work` for each item in order, up to `concurrency` at a time, until `isStopped` returns true. */
export async function runParallel<Item>(
  items: readonly Item[],
  concurrency: number,
  isStopped: () => boolean,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  // All runners share one iterator, so that each item is processed once.
  const remainingItems = items.values();
  async function runner(): Promise<void> {
    for (const item of remainingItems) {
      if (isStopped()) return;
      await work(item);
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(concurrency, items.length)) }, runner));
}
