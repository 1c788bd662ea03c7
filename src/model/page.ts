/** Which part of a list is wanted. `cursor` continues after the last entry of a page, and wins over `offset`. */
export interface PageRequest {
  readonly limit: number;
  readonly offset: number;
  /** Number of the last entry that was seen. */
  readonly after?: number | undefined;
}

/** One page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Entries of the whole list. */
  readonly total: number;
  /** What the next page continues after; `undefined` on the last one. */
  readonly next: number | undefined;
}
