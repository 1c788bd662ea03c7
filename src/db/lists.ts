import type { Page } from '../model/page.ts';

/** A page of `rows`, of which one more was asked for than fits: it tells whether another page follows. */
export function pageOf<Row extends { id: number }, Item>(
  rows: readonly Row[],
  limit: number,
  total: number,
  toItem: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  return { items: shown.map(toItem), total, next: rows.length > limit ? shown.at(-1)?.id : undefined };
}
