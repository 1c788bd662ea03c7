import { itemExtents, readIsobmff } from '../containers/isobmff.ts';
import { corrupt, cut, type Finding, unreadable } from './verdict.ts';

/** AVIF has no checksums: a complete file that cannot be decoded is corrupt. */
export function findInAvif(bytes: Uint8Array): Finding {
  const file = readIsobmff(bytes);
  if (file === undefined) return bytes.length < 16 ? cut() : unreadable();
  const { boxes, items, primaryItem } = file;
  const isBeyond = ({ start, length }: { start: number; length: number }) => start + length > bytes.length;
  if (boxes.some(({ isWhole }) => !isWhole) || itemExtents(bytes, file).some(isBeyond)) return cut();
  if (!boxes.some(({ type }) => type === 'meta'))
    return cut('the file ends before the description of its picture');
  return items.has(primaryItem ?? -1) ? corrupt('its compressed pixels are damaged') : unreadable();
}
