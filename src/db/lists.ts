import { type RawBuilder, sql } from 'kysely';
import type { Page, PageRequest } from '../model/page.ts';
import type { Principal } from '../model/principal.ts';

/** Condition that is true for rows that the principal may see. `column` contains the row's tenant id. */
export function isVisibleTo({ tenantId }: Pick<Principal, 'tenantId'>, column: string): RawBuilder<boolean> {
  return tenantId === null ? sql`true` : sql`${sql.ref(column)} = ${tenantId}`;
}

/** Combines conditions with `AND`. Ignores `undefined`. */
export function allOf(conditions: readonly (RawBuilder<unknown> | undefined)[]): RawBuilder<boolean> {
  const definedConditions = conditions.filter((condition) => condition !== undefined);
  return definedConditions.length > 0 ? sql`${sql.join(definedConditions, sql` AND `)}` : sql`true`;
}

/**
 * Condition that is true for rows after the cursor, in a list ordered from newest to oldest. `column` contains the row's id.
 */
export function isAfterCursor({ after }: PageRequest, column: string): RawBuilder<boolean> {
  return after === undefined ? sql`true` : sql`${sql.ref(column)} < ${after}`;
}

/**
 * Returns the `LIMIT` and `OFFSET` clauses for a page. The limit includes one extra row, which shows whether there is a next
 * page.
 */
export function limitTo({ limit, offset, after }: PageRequest): RawBuilder<unknown> {
  return sql`LIMIT ${limit + 1} OFFSET ${after === undefined ? offset : 0}`;
}

/** Builds a page from rows selected with `limitTo`. `total` is the number of items in the whole list. */
export function buildPage<Row extends { id: number }, Item>(
  rows: readonly Row[],
  limit: number,
  total: number,
  toItem: (row: Row) => Item,
): Page<Item> {
  const pageRows = rows.slice(0, limit);
  return { items: pageRows.map(toItem), total, next: rows.length > limit ? pageRows.at(-1)?.id : undefined };
}
