import type { Image } from '../../model/image.ts';
import { formatNames, type PictureFormat } from '../../model/picture.ts';

/** The facts on which the suggestion depends. */
export type KeeperCandidate = Pick<
  Image,
  'id' | 'width' | 'height' | 'format' | 'originalBytes' | 'createdAt' | 'damagedAt' | 'status'
>;

/** Which image of a group to keep, and why, as a clause. */
export interface KeeperSuggestion {
  readonly id: number;
  readonly reason: string;
}

/**
 * The formats, best first. Lossless formats lose nothing when they are saved. HEIC and JPEG come from cameras; WebP and AVIF
 * usually are exports for the web. GIF has only 256 colours. The formats of one line are equally good.
 */
const formatOrder: readonly (readonly PictureFormat[])[] = [
  ['tiff', 'png', 'bmp'],
  ['heic', 'jpeg'],
  ['webp', 'avif'],
  ['gif'],
];

/** Files of one format are equally good if the smaller one has at least this share of the bytes of the larger one. */
const equalBytes = 0.9;

/**
 * Suggests which image of a group to keep: the one with the most pixels; among these, the one whose file loses least (the best
 * format, then clearly more bytes in the same format); among these, the oldest. Damaged and unfinished images are not
 * suggested. Returns `undefined` if no image is left.
 */
export function suggestKeeper(images: readonly KeeperCandidate[]): KeeperSuggestion | undefined {
  const intact = images.filter(({ damagedAt, status }) => damagedAt === null && status === 'completed');
  const mostPixels = keepBest(intact, countPixels);
  const bestFormat = keepBest(mostPixels, ({ format }) => -rankFormat(format));
  const leastCompressed = keepLargest(bestFormat);
  const keeper = leastCompressed.toSorted(
    (a, b) => a.createdAt.getTime() - b.createdAt.getTime() || a.id - b.id,
  )[0];
  if (!keeper) return undefined;
  return { id: keeper.id, reason: explain(keeper, [intact, mostPixels, bestFormat, leastCompressed]) };
}

/** Returns the reason: what sets the keeper apart from the images that the last step dropped. */
function explain(
  { width, height, format }: KeeperCandidate,
  [
    intact = [],
    mostPixels = [],
    bestFormat = [],
    leastCompressed = [],
  ]: readonly (readonly KeeperCandidate[])[],
): string {
  if (leastCompressed.length > 1) return 'the oldest of the images that are equally good';
  if (bestFormat.length > 1) return 'the largest file of its format, so the least compressed';
  if (mostPixels.length > 1)
    return `the best format (${format === null ? 'unknown' : formatNames[format]}) of the images with the most pixels`;
  if (intact.length > 1) return `the most pixels (${width} × ${height})`;
  return 'the only image that is intact';
}

function keepBest(
  images: readonly KeeperCandidate[],
  score: (image: KeeperCandidate) => number,
): KeeperCandidate[] {
  const best = Math.max(...images.map(score));
  return images.filter((image) => score(image) === best);
}

/**
 * Returns the images whose files are about as large as the largest file. Sizes of different formats say nothing about each
 * other, so nothing is dropped if the formats differ.
 */
function keepLargest(images: readonly KeeperCandidate[]): readonly KeeperCandidate[] {
  if (new Set(images.map(({ format }) => format)).size > 1 || isLossless(images[0]?.format)) return images;
  const largest = Math.max(...images.map(({ originalBytes }) => originalBytes ?? 0));
  return images.filter(({ originalBytes }) => (originalBytes ?? 0) >= largest * equalBytes);
}

function countPixels({ width, height }: KeeperCandidate): number {
  return (width ?? 0) * (height ?? 0);
}

function rankFormat(format: PictureFormat | null): number {
  const rank = formatOrder.findIndex((formats) => format !== null && formats.includes(format));
  return rank < 0 ? formatOrder.length : rank;
}

function isLossless(format: PictureFormat | null | undefined): boolean {
  return format != null && (formatOrder[0] ?? []).includes(format);
}
