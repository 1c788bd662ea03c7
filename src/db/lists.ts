import { type RawBuilder, sql } from 'kysely';
import type { Page, PageRequest } from '../model/page.ts';
import type { Principal } from '../model/principal.ts';

/** Condition on `column`, which holds a tenant's id: the principal may see the rows of that tenant. */
export function isVisibleTo({ tenantId }: Pick<Principal, 'tenantId'>, column: string): RawBuilder<boolean> {
  return tenantId === null ? sql`true` : sql`${sql.ref(column)} = ${tenantId}`;
}

/** Combines conditions with `AND`; those that are `undefined` are left out. */
export function allOf(conditions: readonly (RawBuilder<unknown> | undefined)[]): RawBuilder<boolean> {
  const given = conditions.filter((condition) => condition !== undefined);
  return given.length > 0 ? sql`${sql.join(given, sql` AND `)}` : sql`true`;
}

/** Condition on `column`, the id by which a list is ordered, newest first: the row comes after the cursor. */
export function isAfterCursor({ after }: PageRequest, column: string): RawBuilder<boolean> {
  return after === undefined ? sql`true` : sql`${sql.ref(column)} < ${after}`;
}

/** `LIMIT` and `OFFSET` of a page. Selects one row more than the page holds: it tells whether another page follows. */
export function limitTo({ limit, offset, after }: PageRequest): RawBuilder<unknown> {
  return sql`LIMIT ${limit + 1} OFFSET ${after === undefined ? offset : 0}`;
}

/** Builds a page from the rows that `limitTo` let through. `total` counts the whole list. */
export function pageOf<Row extends { id: number }, Item>(
  rows: readonly Row[],
  limit: number,
  total: number,
  toItem: (row: Row) => Item,
): Page<Item> {
  const onPage = rows.slice(0, limit);
  return { items: onPage.map(toItem), total, next: rows.length > limit ? onPage.at(-1)?.id : undefined };
}
