import { createHash } from 'node:crypto';
import type { RenditionMatch } from '../../../model/rendition.ts';
import { openSource } from '../../decoding/open-source.ts';
import { decodeTo, type Pixels } from '../../decoding/pixels.ts';
import type { Size } from '../../geometry.ts';
import { cellMeans } from './cells.ts';
import { displacementOf, movedBack } from './displacement.ts';
import { type Block, worstBlock } from './worst-block.ts';

/** Two renditions by the same preset: a new one, and a stored one of another image. */
export interface EncodedPair extends Size {
  readonly preset: string;
  readonly current: Uint8Array;
  readonly stored: Uint8Array;
  /** Recorded SHA-256 of the stored bytes, hexadecimal. */
  readonly storedSha256: string;
}

/**
 * Decides whether two images' renditions have the same pixels, apart from re-encoding. Compares every preset: a smaller
 * rendition is computed from the larger one's pixels, but only reading its stored file verifies that it matches its
 * row.
 * @param pairs read one at a time. Width and height are those of the new rendition; the stored one may differ by
 *   rounding, and is then resized.
 */
export async function matchRenditions(pairs: Iterable<EncodedPair>): Promise<RenditionMatch> {
  for (const pair of pairs) {
    if (sha256Of(pair.stored) !== pair.storedSha256) return { verdict: 'unknown' };
    if (Buffer.compare(pair.current, pair.stored) === 0) continue;
    const difference = differenceOfPixels(await decode(pair.current, pair), await decode(pair.stored, pair));
    if (difference) return { verdict: 'different', preset: pair.preset, ...difference };
  }
  return { verdict: 'same' };
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function decode(jpeg: Uint8Array, { width, height }: Size): Promise<Pixels> {
  return decodeTo(openSource(jpeg, 'jpeg'), { width, height });
}

/** Where two pictures of the same size differ most, and in what. */
interface PixelDifference {
  readonly channel: Block['channel'];
  /** Centre of the block, in percent of the width and the height. */
  readonly left: number;
  readonly top: number;
}

/**
 * Returns where two pictures of the same size differ by more than re-encoding and resizing can explain; `undefined` if
 * they match. Compares block by block, in lightness and in colour, so that a changed digit or shade in a large picture
 * is not averaged out.
 */
function differenceOfPixels(a: Pixels, b: Pixels): PixelDifference | undefined {
  const means = cellMeans(a);
  const worst = worstBlock(means, cellMeans(b));
  if (worst.excess <= 1) return undefined;
  const displacement = displacementOf(a, b);
  const worstAligned = displacement && worstBlock(means, cellMeans(movedBack(b, displacement)));
  if (worstAligned && worstAligned.excess <= 1) return undefined;
  const { channel, column, row, columns, rows } = worst;
  const percent = (middle: number, length: number) => Math.round((middle / length) * 100);
  return {
    channel,
    left: percent(column + columns / 2, means.luma.columns),
    top: percent(row + rows / 2, means.luma.rows),
  };
}
