import { createHash } from 'node:crypto';
import { pictureFormats } from '../../../model/picture.ts';
import type { RenditionMatch } from '../../../model/rendition.ts';
import { selectFrame } from '../../containers/select-frame.ts';
import { openPicture } from '../../decoding/open-picture.ts';
import { decodeWithAlphaTo, type Pixels, type Raster, toOpaquePixels } from '../../decoding/pixels.ts';
import { sniffFormat } from '../../formats/identify-format.ts';
import type { Size } from '../../geometry.ts';
import { flatten } from '../../renditions/assemble.ts';
import { computeCellMeans } from './cells.ts';
import { estimateDisplacement, undoDisplacement } from './displacement.ts';
import { type Block, findWorstBlock } from './worst-block.ts';

/** Two renditions made with the same preset: a new one, and a stored one that belongs to a different image. */
export interface EncodedPair extends Size {
  readonly preset: string;
  readonly newBytes: Uint8Array;
  readonly storedBytes: Uint8Array;
  /** Recorded SHA-256 of the stored bytes, hexadecimal. */
  readonly storedSha256: string;
}

/**
 * Decides whether two images' renditions differ only because of re-encoding. Compares the renditions of all presets,
 * because each stored file must be verified against its recorded SHA-256.
 * @param pairs the pairs to compare. They are read one at a time. Width and height are those of the new rendition.
 *   If the stored rendition has a different size due to rounding, it is resized.
 */
export async function matchRenditions(pairs: Iterable<EncodedPair>): Promise<RenditionMatch> {
  for (const pair of pairs) {
    if (computeSha256(pair.storedBytes) !== pair.storedSha256) return { verdict: 'unknown' };
    if (Buffer.compare(pair.newBytes, pair.storedBytes) === 0) continue;
    const [newRaster, storedRaster] = [
      await decode(pair.newBytes, pair),
      await decode(pair.storedBytes, pair),
    ];
    if (newRaster === undefined || storedRaster === undefined) return { verdict: 'unknown' };
    for (const background of listBackgrounds(newRaster, storedRaster)) {
      const difference = findPixelDifference(
        toOpaquePixels(flatten(newRaster, background)),
        toOpaquePixels(flatten(storedRaster, background)),
      );
      if (difference) return { verdict: 'different', preset: pair.preset, ...difference };
    }
  }
  return { verdict: 'same' };
}

function computeSha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Decodes a rendition in any format. Returns `undefined` if it is animated, because only still pictures are compared. */
async function decode(bytes: Uint8Array, { width, height }: Size): Promise<Raster | undefined> {
  const { format } = await sniffFormat(bytes, pictureFormats);
  if (selectFrame(bytes, format).frames > 1) return undefined;
  return decodeWithAlphaTo(openPicture(bytes, format), { width, height });
}

const white = [255, 255, 255] as const;
const black = [0, 0, 0] as const;

/** Returns the backgrounds that show every difference: transparent pictures may look the same on one of them. */
function listBackgrounds(...rasters: readonly Raster[]): readonly (typeof white | typeof black)[] {
  return rasters.some(({ channels }) => channels === 4) ? [white, black] : [white];
}

/** Where two pictures of the same size differ most, and in which channel. */
interface PixelDifference {
  readonly channel: Block['channel'];
  /** Centre of the block that differs most, as a percentage of the width and the height. */
  readonly left: number;
  readonly top: number;
}

/**
 * Returns where two pictures of the same size differ by more than re-encoding and resizing can explain; `undefined` if
 * they match. Compares block by block, in lightness and in colour, so that a changed digit or shade in a large picture
 * is not averaged out.
 */
function findPixelDifference(a: Pixels, b: Pixels): PixelDifference | undefined {
  const means = computeCellMeans(a);
  const worstBlock = findWorstBlock(means, computeCellMeans(b));
  if (worstBlock.excess <= 1) return undefined;
  const displacement = estimateDisplacement(a, b);
  const worstAlignedBlock =
    displacement && findWorstBlock(means, computeCellMeans(undoDisplacement(b, displacement)));
  if (worstAlignedBlock && worstAlignedBlock.excess <= 1) return undefined;
  const { channel, column, row, columns, rows } = worstBlock;
  const percent = (middle: number, length: number) => Math.round((middle / length) * 100);
  return {
    channel,
    left: percent(column + columns / 2, means.luma.columns),
    top: percent(row + rows / 2, means.luma.rows),
  };
}
