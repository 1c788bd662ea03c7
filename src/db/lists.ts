import { type RawBuilder, sql } from 'kysely';
import type { Page, PageRequest } from '../model/page.ts';
import type { Principal } from '../model/principal.ts';

/** Condition that the principal may see a row. `column` holds the id of the row's tenant. */
export function isVisibleTo({ tenantId }: Pick<Principal, 'tenantId'>, column: string): RawBuilder<boolean> {
  return tenantId === null ? sql`true` : sql`${sql.ref(column)} = ${tenantId}`;
}

/** Combines conditions with `AND`. Ignores those that are `undefined`. */
export function allOf(conditions: readonly (RawBuilder<unknown> | undefined)[]): RawBuilder<boolean> {
  const given = conditions.filter((condition) => condition !== undefined);
  return given.length > 0 ? sql`${sql.join(given, sql` AND `)}` : sql`true`;
}

/** Condition that a row comes after the cursor. `column` holds the id by which the list is ordered, newest first. */
export function isAfterCursor({ after }: PageRequest, column: string): RawBuilder<boolean> {
  return after === undefined ? sql`true` : sql`${sql.ref(column)} < ${after}`;
}

/** Returns `LIMIT` and `OFFSET` for a page. Selects one extra row, which shows whether there is a next page. */
export function limitTo({ limit, offset, after }: PageRequest): RawBuilder<unknown> {
  return sql`LIMIT ${limit + 1} OFFSET ${after === undefined ? offset : 0}`;
}

/** Builds a page from rows selected with `limitTo`. `total` is the length of the whole list. */
export function pageOf<Row extends { id: number }, Item>(
  rows: readonly Row[],
  limit: number,
  total: number,
  toItem: (row: Row) => Item,
): Page<Item> {
  const onPage = rows.slice(0, limit);
  return { items: onPage.map(toItem), total, next: rows.length > limit ? onPage.at(-1)?.id : undefined };
}
