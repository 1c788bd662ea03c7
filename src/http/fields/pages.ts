import { z } from 'zod';
import type { Page, PageRequest } from '../../model/page.ts';
import { wholeNumberField } from './fields.ts';

/** Allowed characters and length of a cursor. */
const cursorPattern = /^[A-Za-z0-9_-]{1,20}$/;

/** Encodes the position of the next page as a cursor. Clients must not parse cursors, because the format can change. */
export function writeCursor(position: number | undefined): string | null {
  return position === undefined ? null : Buffer.from(String(position)).toString('base64url');
}

/** Decodes a cursor. Returns `undefined` for text that `writeCursor` cannot have produced. */
export function readCursor(text: string): number | undefined {
  if (!cursorPattern.test(text)) return undefined;
  const digits = Buffer.from(text, 'base64url').toString('latin1');
  const position = Number(digits);
  // Base64 can encode the same bytes in several ways; only the canonical encoding is accepted.
  return /^\d{1,15}$/.test(digits) && writeCursor(position) === text ? position : undefined;
}

const cursorField = z
  .string()
  .transform((text, context) => {
    const position = readCursor(text);
    if (position !== undefined) return position;
    context.addIssue({ code: 'custom', message: 'must be the "next_cursor" of a previous page' });
    return z.NEVER;
  })
  .meta({
    pattern: cursorPattern.source,
    description: '`next_cursor` of the previous page. Takes precedence over `offset`.',
  });

/** Maximum `offset`. Pages beyond it require a cursor. With a cursor, the last page is as fast as the first. */
const maxOffset = 1_000_000;

/** Query parameters `limit` and `offset` of a list. */
export function offsetPageFields(defaultLimit: number, maxLimit = 100) {
  return {
    limit: wholeNumberField(1, maxLimit, `Maximum number of entries; default ${defaultLimit}.`).optional(),
    offset: wholeNumberField(0, maxOffset, 'Number of entries to skip; default 0.').optional(),
  };
}

/** Query parameters `limit`, `offset` and `cursor` of a list. */
export function pageFields(defaultLimit: number, maxLimit = 100) {
  return { ...offsetPageFields(defaultLimit, maxLimit), cursor: cursorField.optional() };
}

/** Query parameters `limit` and `cursor` of a list that has no total and no `offset`. */
export function cursorPageFields(defaultLimit: number, maxLimit = 100) {
  const { limit, cursor } = pageFields(defaultLimit, maxLimit);
  return { limit, cursor: cursor.describe('`next_cursor` of the previous page.') };
}

/** Converts query parameters to a page request. */
export function toPageRequest(
  query: {
    readonly limit?: number | undefined;
    readonly offset?: number | undefined;
    readonly cursor?: number | undefined;
  },
  defaultLimit: number,
): PageRequest {
  return { limit: query.limit ?? defaultLimit, offset: query.offset ?? 0, after: query.cursor };
}

/** Schema of one page of a list. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    total: z.int().describe('Number of entries in the whole list.'),
    limit: z.int(),
    offset: z.int(),
    next_cursor: z.string().nullable().describe('The `cursor` of the next page; `null` on the last page.'),
  });
}

/** Converts one page of a list to the `/v1` JSON format. */
export function toPageRecord<Item, ItemRecord>(
  { items, total, next }: Page<Item>,
  { limit, offset }: PageRequest,
  toRecord: (item: Item) => ItemRecord,
) {
  return { items: items.map(toRecord), total, limit, offset, next_cursor: writeCursor(next) };
}
