import { z } from 'zod';
import type { Page, PageRequest } from '../../model/page.ts';
import { writeCursor } from '../cursor.ts';

/** Schema of one page of a list. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    total: z.int().describe('Entries of the whole list.'),
    limit: z.int(),
    offset: z.int(),
    next_cursor: z.string().nullable().describe('Gives the next page as `cursor`; `null` on the last one.'),
  });
}

/** One page of a list, as `/v1` shows it. */
export function pageRecord<Item, Shown>(
  { items, total, next }: Page<Item>,
  { limit, offset }: PageRequest,
  show: (item: Item) => Shown,
) {
  return { items: items.map(show), total, limit, offset, next_cursor: writeCursor(next) };
}
