import type { Pixels } from '../../decoding/pixels.ts';
import { cellMeans } from './cells.ts';
import { displacementOf, movedBack } from './displacement.ts';
import { type Block, worstBlock } from './worst-block.ts';

/** Where two pictures of one size differ most, and what differs there. */
export interface PixelDifference {
  readonly channel: Block['channel'];
  /** Centre of the block, in percent of the width and the height. */
  readonly left: number;
  readonly top: number;
}

/**
 * Where two pictures of one size differ more than re-encoding and resizing can explain; `undefined` if the pixels are
 * the same. Compares block by block, in lightness and in colour, so that a changed digit or shade is not averaged out
 * in a large picture.
 */
export function differenceOfPixels(a: Pixels, b: Pixels): PixelDifference | undefined {
  const means = cellMeans(a);
  const worst = worstBlock(means, cellMeans(b));
  if (worst.excess <= 1) return undefined;
  const displacement = displacementOf(a, b);
  const moved = displacement && worstBlock(means, cellMeans(movedBack(b, displacement)));
  if (moved && moved.excess <= 1) return undefined;
  const { channel, column, row, columns, rows } = worst;
  const percent = (middle: number, length: number) => Math.round((middle / length) * 100);
  return {
    channel,
    left: percent(column + columns / 2, means.luma.columns),
    top: percent(row + rows / 2, means.luma.rows),
  };
}
