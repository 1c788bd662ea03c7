import { createHash } from 'node:crypto';
import type { RenditionMatch } from '../../../model/sameness.ts';
import type { Size } from '../../geometry.ts';
import type { Pixels } from '../../decoding/pixels.ts';
import { openSource } from '../../decoding/open-source.ts';
import { decodeTo } from '../../decoding/steps.ts';
import { differenceOfPixels } from './compare-pixels.ts';

/** Two renditions of one preset: a new one, and a stored one of another image. */
export interface EncodedPair extends Size {
  readonly preset: string;
  readonly made: Uint8Array;
  readonly stored: Uint8Array;
  /** Recorded SHA-256 of the stored bytes, hexadecimal. */
  readonly storedSha256: string;
}

/**
 * Whether two images' renditions have the same pixels up to re-encoding. Every preset is compared: a smaller rendition
 * is a mean of the larger one's pixels, but only reading its stored file verifies that it matches its row.
 * @param pairs read one after the other. Width and height are those of the new rendition; the stored one may differ by
 *   rounding, and is then resized.
 */
export async function matchRenditions(pairs: Iterable<EncodedPair>): Promise<RenditionMatch> {
  for (const pair of pairs) {
    if (sha256Of(pair.stored) !== pair.storedSha256) return { verdict: 'unknown' };
    if (Buffer.compare(pair.made, pair.stored) === 0) continue;
    const difference = differenceOfPixels(await decode(pair.made, pair), await decode(pair.stored, pair));
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
