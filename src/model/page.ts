/** The requested part of a list. */
export interface PageRequest {
  readonly limit: number;
  readonly offset: number;
  /** Id of the last item on the previous page. Takes precedence over `offset`. */
  readonly after?: number | undefined;
}

/** One page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Number of items in the whole list. */
  readonly total: number;
  /** Value of `after` for the next page; `undefined` on the last page. */
  readonly next: number | undefined;
}
