/** Where requests wait for a child: lower priority goes first, equal ones in the order of their coming. */
export interface WaitingLine<Item> {
  readonly length: number;
  add(item: Item, priority: number): void;
  next(): Item | undefined;
  /** Takes an item out; tells whether it was there. */
  remove(item: Item): boolean;
  /** Takes all items out. */
  clear(): Item[];
}

/** An empty waiting line. */
export function makeWaitingLine<Item>(): WaitingLine<Item> {
  const entries: { item: Item; priority: number }[] = [];
  return {
    get length() {
      return entries.length;
    },
    add(item, priority) {
      // Most come with the priority of those before them, so the place is near the end.
      const before = entries.findLastIndex((entry) => entry.priority <= priority);
      entries.splice(before + 1, 0, { item, priority });
    },
    next: () => entries.shift()?.item,
    remove(item) {
      const index = entries.findIndex((entry) => entry.item === item);
      if (index >= 0) entries.splice(index, 1);
      return index >= 0;
    },
    clear: () => entries.splice(0).map((entry) => entry.item),
  };
}
